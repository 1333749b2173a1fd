//! ipmitool's own options, in getopt's order: options anywhere, values attached or apart, `--` ends them.

use std::path::PathBuf;
use std::time::Duration;

use ipmi::session::{Bridge, Config, Credentials, Lookup, Protocol, Quirks};
use ipmi::wire::session::AuthType;
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
    /// RMCP+ unless `-I lan` asks for IPMI 1.5.
    pub(crate) protocol: Protocol,
    auth_type: Option<AuthType>,
    quirks: Quirks,
    /// Target address, its channel, transit address, its channel: `-t`, `-b`, `-T`, `-B`.
    bridge: [u8; 4],
    pub(crate) timeout: Option<Duration>,
    pub(crate) attempts: Option<u8>,
    pub(crate) csv: bool,
    pub(crate) verbose: u8,
    pub(crate) json: bool,
    /// Hosts in conversation at once.
    pub(crate) fanout: usize,
    /// Time between two hosts.
    pub(crate) stagger: Duration,
    /// Weak suites and IPMI 1.5 with many hosts.
    pub(crate) allow_weak: bool,
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
            protocol: Protocol::V20,
            auth_type: None,
            quirks: Quirks::default(),
            bridge: [0; 4],
            timeout: None,
            attempts: None,
            csv: false,
            verbose: 0,
            json: false,
            fanout: 256,
            stagger: Duration::ZERO,
            allow_weak: false,
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
                "--allow-weak" => options.allow_weak = true,
                "--fanout" | "--stagger" => {
                    let value =
                        arguments.next().ok_or_else(|| stop(format!("{argument} requires a value")))?;
                    options.long(&argument, &value)?;
                }
                _ if argument.starts_with("--fanout=") || argument.starts_with("--stagger=") => {
                    let (name, value) = argument.split_once('=').unwrap_or_default();
                    options.long(name, value)?;
                }
                _ if argument.starts_with('-') && argument.len() > 1 => {
                    options.cluster(&argument, &mut arguments)?;
                }
                _ => options.words.push(argument),
            }
        }
        Ok(options)
    }

    fn long(&mut self, name: &str, value: &str) -> Result<(), Stop> {
        if name == "--fanout" {
            self.fanout = value.parse().map_err(|_| stop(format!("--fanout {value:?} is no number")))?;
        } else {
            self.stagger = crate::netboot::duration(value).map_err(stop)?;
        }
        Ok(())
    }

    /// Whether the password can go out under strong suites alone.
    pub(crate) fn is_strong(&self) -> bool {
        self.protocol == Protocol::V20 && self.suites.iter().all(CipherSuite::is_strong)
    }

    /// What the options say about sessions.
    pub(crate) fn session(&self) -> Result<Config, String> {
        let credentials = Credentials::new(&self.user, &self.password);
        let credentials = credentials.and_then(|c| c.with_k_g(&self.k_g)).map_err(|e| e.to_string())?;
        let mut config =
            Config { privilege: self.privilege, protocol: self.protocol, ..Config::new(credentials) };
        config.quirks = self.quirks;
        let [target, channel, transit, transit_channel] = self.bridge;
        if !matches!(target, 0 | 0x20) {
            let transit = (!matches!(transit, 0 | 0x20)).then_some((transit, transit_channel));
            config.bridge = Some(Bridge { target, channel, transit });
        }
        config.suites.clone_from(&self.suites);
        if !self.name_only {
            config.lookup = Lookup::NameAndPrivilege;
        }
        if let Some(timeout) = self.timeout {
            (config.timeout, config.max_timeout) = (timeout, timeout * 4);
        }
        if let Some(attempts) = self.attempts {
            config.attempts = attempts;
        }
        Ok(config)
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
            'v' => self.verbose = self.verbose.saturating_add(1),
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
            't' | 'b' | 'T' | 'B' => {
                let [target, channel, transit, transit_channel] = &mut self.bridge;
                let place = match letter {
                    't' => target,
                    'b' => channel,
                    'T' => transit,
                    _ => transit_channel,
                };
                let octet = crate::command::integer(&value).and_then(|number| u8::try_from(number).ok());
                *place = octet.ok_or_else(|| {
                    stop(format!("Invalid parameter given or out of range for '-{letter}'."))
                })?;
            }
            'o' if value == "list" => {
                let names = Quirks::NAMES.join(", ");
                return Err(Stop { text: format!("OEM support: {names}"), code: 0 });
            }
            'o' => {
                let quirks = Quirks::named(&value);
                self.quirks = quirks
                    .ok_or_else(|| stop(format!("OEM support for \"{value}\" is not known; see -o list")))?;
            }
            'R' => self.attempts = Some(number("R")?.clamp(1, 20) as u8),
            'N' => self.timeout = Some(Duration::from_secs(number("N")?.into())),
            'I' => match value.as_str() {
                "lanplus" => self.protocol = Protocol::V20,
                "lan" => self.protocol = Protocol::V15(self.auth_type),
                _ => {
                    let text =
                        format!("Error loading interface {value}: this program speaks lanplus and lan");
                    return Err(stop(text));
                }
            },
            'A' => {
                self.auth_type = Some(match value.to_ascii_uppercase().as_str() {
                    "NONE" => AuthType::None,
                    "MD5" => AuthType::Md5,
                    "PASSWORD" => AuthType::Password,
                    "MD2" | "OEM" => {
                        return Err(stop(format!("authentication type {value} is not supported; use MD5")));
                    }
                    _ => return Err(stop(format!("Invalid authtype {value}"))),
                });
                if let Protocol::V15(auth_type) = &mut self.protocol {
                    *auth_type = self.auth_type;
                }
            }
            _ => {}
        }
        Ok(())
    }
}
