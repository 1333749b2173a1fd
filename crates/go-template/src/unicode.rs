//! Runes as Go's `utf8`, `unicode` and `strconv` packages see them. Used by the lexer, quoting and `js`.

use unicode_general_category::{GeneralCategory, get_general_category};

/// What stands for bytes that are no UTF-8.
pub(crate) const REPLACEMENT: char = '\u{FFFD}';

/// The first rune and its length in bytes; `(U+FFFD, 1)` for a byte that starts none, `None` at the end
/// (`utf8.DecodeRune`).
pub(crate) fn decode(bytes: &[u8]) -> Option<(char, usize)> {
    let &first = bytes.first()?;
    if first < 0x80 {
        return Some((char::from(first), 1));
    }
    let want = match first {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => return Some((REPLACEMENT, 1)),
    };
    let rune =
        bytes.get(..want).and_then(|rune| std::str::from_utf8(rune).ok()).and_then(|s| s.chars().next());
    Some(rune.map_or((REPLACEMENT, 1), |rune| (rune, want)))
}

/// Runes in a byte string, a stray byte counting as one (`utf8.RuneCount`).
pub(crate) fn rune_count(mut bytes: &[u8]) -> usize {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return text.chars().count();
    }
    let mut count = 0;
    while let Some((_, len)) = decode(bytes) {
        bytes = bytes.get(len..).unwrap_or_default();
        count += 1;
    }
    count
}

/// `unicode.IsLetter`: category L.
pub(crate) fn is_letter(c: char) -> bool {
    use GeneralCategory::{LowercaseLetter, ModifierLetter, OtherLetter, TitlecaseLetter, UppercaseLetter};
    if c.is_ascii() {
        return c.is_ascii_alphabetic();
    }
    matches!(
        get_general_category(c),
        LowercaseLetter | ModifierLetter | OtherLetter | TitlecaseLetter | UppercaseLetter
    )
}

/// `unicode.IsDigit`: category Nd.
pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_digit();
    }
    get_general_category(c) == GeneralCategory::DecimalNumber
}

/// `unicode.IsPrint`: letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(crate) fn is_print(c: char) -> bool {
    use GeneralCategory::{
        Control, Format, LineSeparator, ParagraphSeparator, PrivateUse, SpaceSeparator, Surrogate, Unassigned,
    };
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    !matches!(
        get_general_category(c),
        Control
            | Format
            | LineSeparator
            | ParagraphSeparator
            | PrivateUse
            | SpaceSeparator
            | Surrogate
            | Unassigned
    )
}

/// White space to `bytes.TrimSpace`: whether a text is blank decides whether a template counts as empty.
pub(crate) fn is_blank(mut bytes: &[u8]) -> bool {
    while let Some((c, len)) = decode(bytes) {
        let space = matches!(
            c,
            '\t'..='\r' | ' ' | '\u{85}' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}'
                | '\u{2028}' | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}'
        );
        if !space {
            return false;
        }
        bytes = bytes.get(len..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_go_does() {
        assert_eq!(decode(b""), None);
        assert_eq!(decode("é!".as_bytes()), Some(('é', 2)));
        assert_eq!(decode(b"\xc3"), Some((REPLACEMENT, 1)));
        assert_eq!(decode(b"\xed\xa0\x80"), Some((REPLACEMENT, 1)), "a surrogate is no rune");
        assert_eq!(decode(b"\xe2\x80"), Some((REPLACEMENT, 1)), "a cut rune is stray bytes");
        assert_eq!(rune_count(b"a\xff\xc3\xa9"), 3);
    }

    #[test]
    fn classes_are_gos() {
        assert!(is_letter('é') && is_letter('世') && !is_letter('Ⅷ') && !is_letter('\u{0300}'));
        assert!(is_digit('٣') && !is_digit('²') && !is_digit('½'));
        assert!(is_print(' ') && is_print('世') && !is_print('\u{A0}') && !is_print('\u{200B}'));
        assert!(is_blank("\u{3000}\r\n\u{85}".as_bytes()) && !is_blank(b"\xa0"));
    }
}
