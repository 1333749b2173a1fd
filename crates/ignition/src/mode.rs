//! Permission bits that were written in decimal by mistake.

/// Whether `mode` makes no sense, but its decimal digits read as octal do.
pub(crate) fn looks_decimal(mode: i64, directory: bool) -> bool {
    let Ok(text) = u16::try_from(mode).map(|mode| mode.to_string()) else { return false };
    let Ok(meant) = u16::from_str_radix(&text, 8) else { return false };
    text.len() <= 4 && !is_typical(mode as u16, directory) && is_typical(meant, directory)
}

/// Whether people set such permissions on purpose.
fn is_typical(mode: u16, directory: bool) -> bool {
    if mode == 0 {
        return true; // root ignores permissions
    }
    let (mut had_r, mut had_w, mut had_x) = (false, false, false);
    for bits in [mode & 7, mode >> 3 & 7, mode >> 6 & 7] {
        let (r, w, x) = (bits & 4 != 0, bits & 2 != 0, bits & 1 != 0);
        // The more specific has all the bits of the less specific.
        if !r && had_r || !w && had_w || !x && had_x {
            return false;
        }
        // Odd: the owner may execute what others may only read; and writing or executing without reading.
        if x && had_r && !had_x || (w || x) && !r {
            return false;
        }
        (had_r, had_w, had_x) = (had_r || r, had_w || w, had_x || x);
    }
    if !had_r {
        return false;
    }
    if directory {
        had_x && mode & 0o4000 == 0 && (mode & 0o3000 == 0 || had_w)
    } else {
        let setid = mode & 0o6000 != 0;
        !(setid && (!had_x || mode & 2 != 0)) && mode & 0o1000 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_mistakes() {
        // The lists of Butane's own base/util tests
        let directories: Vec<i64> = (-1..=10_000).filter(|mode| looks_decimal(*mode, true)).collect();
        let expected = [
            500, 550, 555, 700, 750, 755, 770, 775, 777, 1700, 1750, 1755, 1770, 1775, 1777, 2700, 2750,
            2755, 2770, 2775, 2777, 3700, 3750, 3755, 3770, 3775, 3777,
        ];
        assert_eq!(directories, expected);
        assert!(looks_decimal(644, false) && looks_decimal(6755, false));
        assert!(!looks_decimal(420, false) && !looks_decimal(0o644, false));
    }
}
