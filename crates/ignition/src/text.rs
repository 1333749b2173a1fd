//! Names compared as Go compares them, and as people mistype them.

/// At most `limit` characters of a text, then an ellipsis; control characters are shown escaped.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    let mut out: String = text.chars().take(limit).flat_map(char::escape_debug).collect();
    if text.chars().nth(limit).is_some() {
        out.push('…');
    }
    out
}

/// Equal but for case, as `encoding/json` folds names: ASCII, and `ſ` and the Kelvin sign for `s` and `k`.
pub(crate) fn eq_fold(name: &str, other: &str) -> bool {
    let fold = |c: char| match c {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        _ => c.to_ascii_lowercase(),
    };
    name.chars().map(fold).eq(other.chars().map(fold))
}

/// The known name nearest to a mistyped one: at most a third of its letters differ.
pub(crate) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let squashed = squash(name);
    known
        .map(|known| (distance(&squashed, &squash(known)), known))
        .filter(|(distance, known)| *distance * 3 <= known.len().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Lower case, without the characters that distinguish naming styles.
fn squash(name: &str) -> Vec<char> {
    name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).take(40).map(|c| c.to_ascii_lowercase()).collect()
}

/// Letters to insert, delete or replace (Levenshtein), by rows.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b) {
            let cost = (diagonal + usize::from(x != y)).min(left + 1).min(*cell + 1);
            (diagonal, left) = (*cell, cost);
            *cell = cost;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name() {
        let known = ["enabled", "contents", "sshAuthorizedKeys"];
        assert_eq!(nearest("enabeld", known.into_iter()), Some("enabled"));
        assert_eq!(nearest("ssh_authorized_keys", known.into_iter()), Some("sshAuthorizedKeys"));
        assert_eq!(nearest("bogus", known.into_iter()), None);
    }
}
