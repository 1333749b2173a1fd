//! The options of a message: tag, length, value (RFC 2132 §2), over as many fields as option 52 says (§9.3).

use super::code;
use std::borrow::Cow;

/// One option as it stands on the wire.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DhcpOption<'a> {
    /// The option's number.
    pub code: u8,
    /// Its value, without tag and length.
    pub value: &'a [u8],
}

/// All options of one message, in wire order: the options field, then `file`, then `sname` where overloaded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Options<'a> {
    field: &'a [u8],
    file: &'a [u8],
    sname: &'a [u8],
}

impl<'a> Options<'a> {
    /// The options field of a message, and the two fields that may hold more.
    pub(crate) fn new(field: &'a [u8], file: &'a [u8], sname: &'a [u8]) -> Self {
        Self { field, file, sname }
    }

    /// Encapsulated options without overloading: option 43, 82 and 175 use the same form.
    #[must_use]
    pub fn encapsulated(field: &'a [u8]) -> Self {
        Self::new(field, &[], &[])
    }

    /// Walks the options. Padding is skipped; END, or an option that reaches past its field, ends that field.
    #[must_use]
    pub fn iter(&self) -> Iter<'a> {
        Iter { rest: self.field, file: self.file, sname: self.sname, overload: 0, field: Field::Options }
    }

    /// The first option of that number.
    #[must_use]
    pub fn first(&self, code: u8) -> Option<&'a [u8]> {
        self.iter().find(|option| option.code == code).map(|option| option.value)
    }

    /// The value of a number that may be split over several options, joined in order (RFC 3396 §7). Borrowed unless
    /// it is split. Not for options of fixed length or whose repetition means something else: use [`Self::first`].
    #[must_use]
    pub fn joined(&self, code: u8) -> Option<Cow<'a, [u8]>> {
        let mut parts = self.iter().filter(|option| option.code == code).map(|option| option.value);
        let first = parts.next()?;
        let Some(second) = parts.next() else { return Some(Cow::Borrowed(first)) };
        let mut all = first.to_vec();
        all.extend_from_slice(second);
        parts.for_each(|part| all.extend_from_slice(part));
        Some(Cow::Owned(all))
    }
}

impl<'a> IntoIterator for Options<'a> {
    type Item = DhcpOption<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Field {
    Options,
    File,
    Sname,
}

/// Walks [`Options`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
    file: &'a [u8],
    sname: &'a [u8],
    overload: u8,
    field: Field,
}

impl<'a> Iter<'a> {
    /// The next field that holds options; `false` when there is none (RFC 2132 §9.3: `file` is 1, `sname` 2).
    fn next_field(&mut self) -> bool {
        let (field, rest, bit) = match self.field {
            Field::Options => (Field::File, self.file, 1),
            Field::File => (Field::Sname, self.sname, 2),
            Field::Sname => return false,
        };
        self.field = field;
        self.rest = if self.overload & bit == 0 { &[] } else { rest };
        true
    }
}

impl<'a> Iterator for Iter<'a> {
    type Item = DhcpOption<'a>;

    #[inline]
    fn next(&mut self) -> Option<DhcpOption<'a>> {
        loop {
            match self.rest {
                [code::PAD, rest @ ..] => self.rest = rest,
                [code, length, rest @ ..] if *code != code::END => {
                    let Some((value, rest)) = rest.split_at_checked(usize::from(*length)) else {
                        self.rest = &[];
                        continue;
                    };
                    self.rest = rest;
                    if let (code::OVERLOAD, Field::Options, &[overload]) = (*code, self.field, value) {
                        self.overload = overload;
                    }
                    return Some(DhcpOption { code: *code, value });
                }
                _ => {
                    if !self.next_field() {
                        self.rest = &[];
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn split_options_are_joined() {
        // RFC 3396 §7
        let options = Options::encapsulated(&[43, 2, 1, 2, 60, 1, b'P', 43, 1, 3, 255, 43, 1, 9]);
        assert_eq!(options.joined(43).as_deref(), Some(&[1, 2, 3][..]));
        assert_eq!(options.first(60), Some(&b"P"[..]));
        assert!(matches!(options.joined(60), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn overloaded_fields_are_read_in_order() {
        // RFC 2132 §9.3: 3 is both; RFC 3396 §5: options, file, sname.
        let options = Options::new(&[52, 1, 3, 43, 1, 1, 255], &[43, 1, 2, 255], &[43, 1, 3]);
        assert_eq!(options.joined(43).as_deref(), Some(&[1, 2, 3][..]));
        let options = Options::new(&[52, 1, 2, 255], &[43, 1, 2, 255], &[43, 1, 3]);
        assert_eq!(options.joined(43).as_deref(), Some(&[3][..]));
    }

    #[test]
    fn a_lying_length_keeps_what_came_before() {
        let options = Options::encapsulated(&[0, 0, 60, 1, b'x', 57, 9, 1]);
        assert_eq!(options.iter().count(), 1);
        assert_eq!(Options::encapsulated(&[57]).iter().count(), 0);
    }
}
