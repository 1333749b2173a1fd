//! Strings that machines send: bounded and made harmless before they are kept, shown or listed.

/// Longest name of a machine, in octets (RFC 1035 §2.3.4: a label).
pub const MAX_NAME: usize = 63;
/// Longest detail kept of a report, an error or a file name, in characters.
pub const MAX_DETAIL: usize = 200;

/// Makes a machine's string safe to print on a terminal: at most `max` characters, with control characters
/// (escape sequences, line ends) and the direction-changing ones of Unicode replaced by `\u{…}` forms.
pub fn clean(text: &str, max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(max));
    let mut room = max;
    for c in text.chars() {
        let hostile = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
        let width = if hostile { c.escape_unicode().count() } else { 1 };
        if width > room {
            break;
        }
        room -= width;
        if hostile { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Makes a machine's string safe inside an Ansible inventory, where `{{` is code: everything outside
/// letters, digits and `. _ : + / @ = , -` and the space becomes `_`.
pub fn inert(text: &str, max: usize) -> String {
    text.chars()
        .take(max)
        .map(|c| if c.is_ascii_alphanumeric() || "._:+/@=,- ".contains(c) { c } else { '_' })
        .collect()
}

/// Whether `name` may name a machine: a lower-case host name of one to 63 octets, letters, digits, `-` and
/// `.`, beginning and ending with a letter or digit (RFC 1123 §2.1). `localhost` and `all` mean something
/// else to Ansible and are refused.
pub fn is_machine_name(name: &str) -> bool {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= MAX_NAME
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.')
        && !name.contains("..")
        && !matches!(name, "localhost" | "all" | "ungrouped")
}

/// Whether `name` may name a group, a role, a profile, a rack or a variable: 1 to 63 of letters, digits,
/// `_`, `-` and `.`, not beginning with `-` or `.`.
pub fn is_label(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_are_shown_not_obeyed() {
        assert_eq!(clean("a\x1b[2Jb\n", 50), "a\\u{1b}[2Jb\\u{a}");
        assert_eq!(clean("\u{202e}exe", 50), "\\u{202e}exe");
        assert_eq!(clean("abcdef", 3), "abc");
        assert_eq!(clean("ab\x1b", 4), "ab");
    }

    #[test]
    fn templates_are_never_code() {
        assert_eq!(inert("{{ lookup('pipe','id') }}", 64), "__ lookup__pipe_,_id__ __");
        assert_eq!(inert("S1A-01.x", 64), "S1A-01.x");
    }

    #[test]
    fn names_are_host_names() {
        for good in ["kpc-01", "a", "node.rack1", "1a"] {
            assert!(is_machine_name(good), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a..b", "a_b", "localhost", "a b", "{{x}}", &"a".repeat(64)] {
            assert!(!is_machine_name(bad), "{bad}");
        }
    }
}
