//! ipmitool's own options, in getopt's order: options anywhere, values attached or apart, `--` ends them.

use std::path::PathBuf;
use std::time::Duration;

use ipmi::{CipherSuite, Privilege};
use zeroize::Zeroizing;

use crate::secret;

/// What the options say.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) host: Option<String>,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: Zeroizing<Vec<u8>>,
    pub(crate) k_g: Zeroizing<Vec<u8>>,
    pub(crate) privilege: Privilege,
    pub(crate) name_only: bool,
    pub(crate) suites: Vec<CipherSuite>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: Option<u8>,
    pub(crate) csv: bool,
    pub(crate) json: bool,
    /// The command and its arguments.
    pub(crate) words: Vec<String>,
}

/// Options with a value.
const VALUED: &str = "IHUPfLACkyYpRNotTbBmelOSzDd";
/// Options without.
const PLAIN: &str = "hVvcgsEKa46Z";

/// Why the options end here: a text for standard error and an exit code.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) text: String,
    pub(crate) code: u8,
}

fn stop(text: impl Into<String>) -> Stop {
    Stop { text: text.into(), code: 1 }
}

fn privilege(word: &str) -> Result<(Privilege, bool), Stop> {
    let (word, name_only) = match word.strip_suffix('+') {
        Some(word) => (word, false),
        None => (word, true),
    };
    let level = match word.to_ascii_uppercase().as_str() {
        "CALLBACK" => Privilege::Callback,
        "USER" => Privilege::User,
        "OPERATOR" => Privilege::Operator,
        "ADMINISTRATOR" | "ADMIN" => Privilege::Administrator,
        "OEM" => Privilege::Oem,
        _ => return Err(stop(format!("Invalid privilege level {word}"))),
    };
    Ok((level, name_only))
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digits: Option<Vec<u32>> = text.chars().map(|c| c.to_digit(16)).collect();
    let digits = digits.filter(|d| d.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n * 16 + d) as u8).collect())
}

impl Options {
    /// Reads the command line.
    pub(crate) fn parse(arguments: Vec<String>) -> Result<Self, Stop> {
        let mut options = Self {
            host: None,
            port: 623,
            user: String::new(),
            password: Zeroizing::new(Vec::new()),
            k_g: Zeroizing::new(Vec::new()),
            privilege: Privilege::Administrator,
            name_only: true,
            suites: vec![CipherSuite::SUITE_17, CipherSuite::SUITE_3],
            timeout: None,
            attempts: None,
            csv: false,
            json: false,
            words: Vec::new(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--" => {
                    options.words.extend(arguments);
                    break;
                }
                "--json" => options.json = true,
                _ if argument.starts_with('-') && argument.len() > 1 => {
                    options.cluster(&argument, &mut arguments)?;
                }
                _ => options.words.push(argument),
            }
        }
        Ok(options)
    }

    /// One word of options: `-v`, `-vc`, `-Hhost`, `-H host`.
    fn cluster(&mut self, word: &str, rest: &mut impl Iterator<Item = String>) -> Result<(), Stop> {
        for (at, letter) in word.char_indices().skip(1) {
            if PLAIN.contains(letter) {
                self.plain(letter)?;
            } else if VALUED.contains(letter) {
                let attached = word.get(at + letter.len_utf8()..).filter(|text| !text.is_empty());
                let value = match attached {
                    Some(text) => text.to_owned(),
                    None => rest
                        .next()
                        .ok_or_else(|| stop(format!("option requires an argument -- '{letter}'")))?,
                };
                return self.valued(letter, value);
            } else {
                return Err(stop(format!("invalid option -- '{letter}'; try ipmi --help")));
            }
        }
        Ok(())
    }

    fn plain(&mut self, letter: char) -> Result<(), Stop> {
        match letter {
            'c' => self.csv = true,
            'E' => {
                let found = secret::from_environment(&["IPMITOOL_PASSWORD", "IPMI_PASSWORD"]);
                if let Some(password) = found {
                    self.password = password;
                }
            }
            'K' => {
                if let Some(key) = secret::from_environment(&["IPMI_KGKEY"]) {
                    self.k_g = key;
                }
            }
            'a' => self.password = secret::from_prompt().map_err(stop)?,
            'V' => return Err(Stop { text: format!("ipmi {}", env!("CARGO_PKG_VERSION")), code: 0 }),
            'h' => {
                return Err(Stop { text: "usage: ipmi [options] COMMAND; see ipmi --help".into(), code: 0 });
            }
            _ => {}
        }
        Ok(())
    }

    fn valued(&mut self, letter: char, value: String) -> Result<(), Stop> {
        let number = |what: &str| {
            value
                .parse::<u16>()
                .map_err(|_| stop(format!("Invalid parameter given or out of range for '-{what}'.")))
        };
        match letter {
            'H' => self.host = Some(value),
            'U' => self.user = value,
            'P' => self.password = Zeroizing::new(value.into_bytes()),
            'f' => self.password = secret::from_file(&PathBuf::from(value)).map_err(stop)?,
            'k' => self.k_g = Zeroizing::new(value.into_bytes()),
            'y' => {
                let key =
                    hex(&value).ok_or_else(|| stop("Number of Kg key characters is not even or not hex"))?;
                self.k_g = Zeroizing::new(key);
            }
            'L' => (self.privilege, self.name_only) = privilege(&value)?,
            'p' => self.port = number("p")?,
            'C' => {
                let id = u8::try_from(number("C")?).map_err(|_| stop("Invalid cipher suite"))?;
                self.suites = vec![CipherSuite::from_id(id).map_err(|error| stop(error.to_string()))?];
            }
            'R' => self.attempts = Some(number("R")?.clamp(1, 20) as u8),
            'N' => self.timeout = Some(Duration::from_secs(number("N")?.into())),
            'I' if !matches!(value.as_str(), "lanplus" | "lan") => {
                return Err(stop(format!("Error loading interface {value}: this program speaks lanplus")));
            }
            _ => {}
        }
        Ok(())
    }
}
