//! User class, option 77, in both forms that exist: RFC 3004's counted instances and the bare string that iPXE sends.

/// The value of option 77.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UserClass<'a>(&'a [u8]);

impl<'a> UserClass<'a> {
    /// The value of option 77.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The octets as they came.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Whether the value has the form of RFC 3004 §4: lengths of at least one that fill it exactly.
    #[must_use]
    pub fn is_counted(self) -> bool {
        let mut rest = self.0;
        while let [length, tail @ ..] = rest {
            match tail.get(usize::from(*length)..) {
                Some(after) if *length > 0 => rest = after,
                _ => return false,
            }
        }
        !self.0.is_empty()
    }

    /// The classes: the instances of a counted value, or the bare string as the only one.
    pub fn classes(self) -> impl Iterator<Item = &'a [u8]> {
        let counted = self.is_counted();
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if !counted {
                return (!rest.is_empty()).then(|| std::mem::take(&mut rest));
            }
            let (length, tail) = rest.split_first()?;
            let (class, after) = tail.split_at_checked(usize::from(*length))?;
            rest = after;
            Some(class)
        })
    }

    /// Whether one of the classes equals `class`, octet by octet.
    ///
    /// ```
    /// # use proxy_dhcp::wire::UserClass;
    /// assert!(UserClass::new(b"iPXE").contains(b"iPXE"));
    /// assert!(UserClass::new(b"\x04iPXE").contains(b"iPXE"));
    /// assert!(!UserClass::new(b"xxiPXEyy").contains(b"iPXE"));
    /// ```
    #[must_use]
    pub fn contains(self, class: &[u8]) -> bool {
        self.0 == class || self.classes().any(|one| one == class)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_instances_are_told_apart() {
        // RFC 3004 §4
        let class = UserClass::new(b"\x03Lab\x04iPXE");
        assert!(class.is_counted() && class.contains(b"Lab") && class.contains(b"iPXE"));
        assert!(!UserClass::new(b"\x03Lab\x05iPXE").contains(b"Lab"));
        assert!(!UserClass::new(b"").is_counted());
        assert_eq!(UserClass::new(b"").classes().count(), 0);
        assert!(!UserClass::new(b"\0").is_counted());
    }
}
