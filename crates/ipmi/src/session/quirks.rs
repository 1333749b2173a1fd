//! Departures of known BMCs from IPMI v2.0 §13, by the names ipmitool gave them (`-o`). Part of the `Session` engine.

/// What a console does otherwise for one kind of BMC; the default follows the specification.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Quirks {
    /// Open Session names the level wanted, also for administrators, instead of "the highest there is" (§13.17).
    pub names_privilege: bool,
    /// The code in RAKP 3 holds the role without its name-only bit (§13.22).
    pub plain_role_in_rakp3: bool,
    /// So do the code in RAKP 2 and the session integrity key (§13.21, §13.31).
    pub plain_role_everywhere: bool,
    /// RAKP 1 holds sixteen octets of user name, however short it is (§13.20).
    pub padded_name: bool,
}

impl Quirks {
    /// The names [`Quirks::named`] knows. `supermicro`, `quanta` and `intelwv2` concern IPMI 1.5 with OEM log-ins, `ibm`,
    /// `kontron` and `icts` change nothing that this crate sends: they are taken and mean nothing.
    pub const NAMES: [&'static str; 8] =
        ["supermicro", "intelwv2", "intelplus", "icts", "ibm", "i82571spt", "kontron", "quanta"];

    /// The quirks of a name; `None` if nobody knows it.
    ///
    /// ```
    /// use ipmi::session::Quirks;
    /// assert!(Quirks::named("i82571spt").is_some_and(|quirks| quirks.padded_name));
    /// assert_eq!(Quirks::named("acme"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        let plain = Self::default();
        match name {
            "intelplus" => Some(Self { names_privilege: true, plain_role_in_rakp3: true, ..plain }),
            "i82571spt" => Some(Self {
                plain_role_in_rakp3: true,
                plain_role_everywhere: true,
                padded_name: true,
                ..plain
            }),
            name => Self::NAMES.contains(&name).then_some(plain),
        }
    }
}
