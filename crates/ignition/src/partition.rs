//! What partition tables of all generations have in common.

/// `01234567-89AB-CDEF-EDCB-A98765432101`: 32 hexadecimal digits in the groups of a GUID.
pub(crate) fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// Which of the ranges (first, last, index) overlap another one: their indices, ascending.
pub(crate) fn overlapping<N: Ord + Copy>(ranges: &mut [(N, N, usize)]) -> Vec<usize> {
    ranges.sort_unstable();
    let mut found = Vec::new();
    // The range that reaches furthest so far; everything that starts before its end overlaps it.
    let mut reach: Option<(N, usize)> = None;
    for (first, last, index) in ranges.iter().copied() {
        match reach {
            Some((end, before)) if first <= end => {
                found.extend([before, index]);
                if last > end {
                    reach = Some((last, index));
                }
            }
            _ => reach = Some((last, index)),
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlaps() {
        assert_eq!(overlapping(&mut [(1, 4, 0), (5, 9, 1), (10, 20, 2)]), Vec::<usize>::new());
        assert_eq!(overlapping(&mut [(1, 100, 0), (5, 9, 1), (10, 20, 2), (101, 102, 3)]), [0, 1, 2]);
        assert!(is_guid("01234567-89AB-CDEF-EDCB-A98765432101"));
        assert!(!is_guid("01234567-89AB-CDEF-EDCB-A9876543210"));
    }
}
