//! Client system architecture, option 93 (RFC 4578 §2.1), with the numbers of IANA's registry "Processor Architecture
//! Types". The RFC's own text has 7 and 9 the wrong way round: firmware sends 7 for x64 UEFI.

macro_rules! architectures {
    ($($variant:ident = $code:literal, $name:literal, $doc:literal;)*) => {
        /// A processor architecture and the way it boots, by IANA's number.
        #[derive(Clone, Copy, Debug, Eq, PartialEq, Hash, Ord, PartialOrd)]
        pub enum ClientArch {
            $(#[doc = $doc] $variant,)*
            /// A number that the registry does not have.
            Unknown(u16),
        }

        impl ClientArch {
            /// Every architecture of the registry.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The architecture a number stands for.
            #[must_use]
            pub fn from_code(code: u16) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Unknown(other),
                }
            }

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> u16 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Unknown(other) => other,
                }
            }

            /// The name that configuration uses; `None` for unknown numbers.
            #[must_use]
            pub fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$variant => Some($name),)*
                    Self::Unknown(_) => None,
                }
            }
        }
    };
}

architectures! {
    Bios = 0x00, "bios", "x86 BIOS.";
    Pc98 = 0x01, "pc98", "NEC PC-98.";
    Itanium = 0x02, "itanium-uefi", "Itanium.";
    Alpha = 0x03, "alpha", "DEC Alpha.";
    ArcX86 = 0x04, "arc-x86", "Arc x86.";
    IntelLean = 0x05, "intel-lean", "Intel Lean Client.";
    Ia32Uefi = 0x06, "ia32-uefi", "x86 UEFI.";
    X64Uefi = 0x07, "x64-uefi", "x64 UEFI.";
    Xscale = 0x08, "xscale-uefi", "EFI XScale.";
    Ebc = 0x09, "ebc", "EFI byte code; some x64 firmware says this.";
    Arm32Uefi = 0x0a, "arm32-uefi", "ARM 32-bit UEFI.";
    Arm64Uefi = 0x0b, "arm64-uefi", "ARM 64-bit UEFI.";
    PowerPcOpenFirmware = 0x0c, "ppc-of", "PowerPC Open Firmware.";
    PowerPcEpapr = 0x0d, "ppc-epapr", "PowerPC ePAPR.";
    PowerOpal = 0x0e, "power-opal", "POWER OPAL v3.";
    Ia32UefiHttp = 0x0f, "ia32-uefi-http", "x86 UEFI boot from HTTP.";
    X64UefiHttp = 0x10, "x64-uefi-http", "x64 UEFI boot from HTTP.";
    EbcHttp = 0x11, "ebc-http", "EFI byte code boot from HTTP.";
    Arm32UefiHttp = 0x12, "arm32-uefi-http", "ARM 32-bit UEFI boot from HTTP.";
    Arm64UefiHttp = 0x13, "arm64-uefi-http", "ARM 64-bit UEFI boot from HTTP.";
    BiosHttp = 0x14, "bios-http", "x86 BIOS boot from HTTP.";
    Arm32Uboot = 0x15, "arm32-uboot", "ARM 32-bit U-Boot.";
    Arm64Uboot = 0x16, "arm64-uboot", "ARM 64-bit U-Boot.";
    Arm32UbootHttp = 0x17, "arm32-uboot-http", "ARM 32-bit U-Boot boot from HTTP.";
    Arm64UbootHttp = 0x18, "arm64-uboot-http", "ARM 64-bit U-Boot boot from HTTP.";
    Riscv32Uefi = 0x19, "riscv32-uefi", "RISC-V 32-bit UEFI.";
    Riscv32UefiHttp = 0x1a, "riscv32-uefi-http", "RISC-V 32-bit UEFI boot from HTTP.";
    Riscv64Uefi = 0x1b, "riscv64-uefi", "RISC-V 64-bit UEFI.";
    Riscv64UefiHttp = 0x1c, "riscv64-uefi-http", "RISC-V 64-bit UEFI boot from HTTP.";
    Riscv128Uefi = 0x1d, "riscv128-uefi", "RISC-V 128-bit UEFI.";
    Riscv128UefiHttp = 0x1e, "riscv128-uefi-http", "RISC-V 128-bit UEFI boot from HTTP.";
    S390Basic = 0x1f, "s390-basic", "s390 Basic.";
    S390Extended = 0x20, "s390-extended", "s390 Extended.";
    Mips32Uefi = 0x21, "mips32-uefi", "MIPS 32-bit UEFI.";
    Mips64Uefi = 0x22, "mips64-uefi", "MIPS 64-bit UEFI.";
    Sunway32Uefi = 0x23, "sunway32-uefi", "Sunway 32-bit UEFI.";
    Sunway64Uefi = 0x24, "sunway64-uefi", "Sunway 64-bit UEFI.";
    LoongArch32Uefi = 0x25, "loongarch32-uefi", "LoongArch 32-bit UEFI.";
    LoongArch32UefiHttp = 0x26, "loongarch32-uefi-http", "LoongArch 32-bit UEFI boot from HTTP.";
    LoongArch64Uefi = 0x27, "loongarch64-uefi", "LoongArch 64-bit UEFI.";
    LoongArch64UefiHttp = 0x28, "loongarch64-uefi-http", "LoongArch 64-bit UEFI boot from HTTP.";
    ArmRpiboot = 0x29, "arm-rpiboot", "ARM rpiboot (Raspberry Pi).";
}

impl ClientArch {
    /// Whether the firmware loads from a URL by itself (UEFI HTTP Boot and its kin).
    #[must_use]
    pub fn is_http(self) -> bool {
        self.name().is_some_and(|name| name.ends_with("-http"))
    }

    /// Whether the firmware is a PC BIOS or its NEC kin, which boot from the OFFER.
    #[must_use]
    pub fn is_bios(self) -> bool {
        matches!(self, Self::Bios | Self::Pc98 | Self::IntelLean | Self::ArcX86 | Self::BiosHttp)
    }
}

impl std::fmt::Display for ClientArch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#06x}", self.code()),
        }
    }
}

/// A text that names no architecture.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "no such architecture: give a name like `bios`, `x64-uefi`, `arm64-uefi-http`, or IANA's number like `7` or `0x10`"
)]
pub struct UnknownArchName;

impl std::str::FromStr for ClientArch {
    type Err = UnknownArchName;

    /// Reads a name of the table, or any number, decimal or with `0x`.
    ///
    /// ```
    /// # use proxy_dhcp::ClientArch;
    /// assert_eq!("x64-uefi".parse(), Ok(ClientArch::X64Uefi));
    /// assert_eq!("0x10".parse(), Ok(ClientArch::X64UefiHttp));
    /// assert!("x46".parse::<ClientArch>().is_err());
    /// ```
    fn from_str(text: &str) -> Result<Self, UnknownArchName> {
        if let Some(arch) = Self::ALL.iter().find(|arch| arch.name() == Some(text)) {
            return Ok(*arch);
        }
        let number = match text.strip_prefix("0x") {
            Some(hex) => u16::from_str_radix(hex, 16),
            None => text.parse(),
        };
        number.map(Self::from_code).map_err(|_| UnknownArchName)
    }
}

/// The architectures a client names, most wanted first (RFC 4578 §2.1: one or more numbers of 16 bits).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ClientArchs<'a>(&'a [u8]);

impl<'a> ClientArchs<'a> {
    /// The value of option 93; an odd octet at the end is not read.
    #[must_use]
    pub fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// The architectures in the client's order.
    pub fn iter(self) -> impl Iterator<Item = ClientArch> + 'a {
        let (pairs, _odd) = self.0.as_chunks::<2>();
        pairs.iter().map(|pair| ClientArch::from_code(u16::from_be_bytes(*pair)))
    }

    /// The architecture the client wants most.
    #[must_use]
    pub fn first(self) -> Option<ClientArch> {
        self.iter().next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_and_name_reads_back() {
        // RFC 4578 §2.1
        for code in 0..=0x29 {
            let arch = ClientArch::from_code(code);
            assert_eq!(arch.code(), code);
            assert_eq!(arch.name().unwrap().parse(), Ok(arch));
        }
        assert_eq!(ClientArch::ALL.len(), 0x2a);
        assert_eq!(ClientArch::from_code(0x2a), ClientArch::Unknown(0x2a));
        assert_eq!(ClientArch::Unknown(0x2a).to_string(), "0x002a");
    }

    #[test]
    fn all_architectures_of_a_client_are_read() {
        let archs = ClientArchs::new(&[0, 9, 0, 7, 1]);
        assert!(archs.iter().eq([ClientArch::Ebc, ClientArch::X64Uefi]));
        assert_eq!(ClientArchs::new(&[7]).first(), None);
    }
}
