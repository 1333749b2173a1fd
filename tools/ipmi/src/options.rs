//! ipmitool's own options, in getopt's order: options anywhere, values attached or apart, `--` ends them.

use std::path::PathBuf;
use std::time::Duration;

use ipmi::session::{Bridge, Config, Credentials, Lookup, Protocol, Quirks};
use ipmi::wire::session::AuthType;
use ipmi::{CipherSuite, Privilege};
use zeroize::Zeroizing;

use crate::{output, secret};

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
    /// Hosts that start together.
    pub(crate) batch: usize,
    /// Weak suites and IPMI 1.5 with many hosts.
    pub(crate) allow_weak: bool,
    /// More hosts than anybody types by accident are meant.
    pub(crate) yes: bool,
    /// How messages look.
    pub(crate) messages: output::Messages,
    /// The command and its arguments.
    pub(crate) words: Vec<String>,
}

/// Options with a value.
pub(crate) const VALUED: &str = "IHUPfLACkyYpRNotTbBmelOSzDd";
/// Options without.
const PLAIN: &str = "hVvcgsEKa46Z";

/// Long options with a value.
pub(crate) const LONG: [&str; 5] = ["--fanout", "--stagger", "--batch", "--log-format", "--log-level"];

const HELP: &str = "\
usage: ipmi [options] COMMAND; forms of this program: ipmi --help
    -H HOSTS        a host, or a range: 10.0.0.1-254, 10.0.0.0/24, bmc[1-40], lists of these, @FILE
    -p PORT         UDP port [623]
    -U USER         user name [the null user]
    -P PASSWORD     password; better -f FILE, -E (IPMITOOL_PASSWORD, IPMI_PASSWORD) or -a (asks)
    -k KEY, -y HEX, -K  K_G as text, as hex, from IPMI_KGKEY
    -I lanplus|lan  IPMI 2.0 [default] or 1.5
    -C N            cipher suite [17, then 3]
    -A TYPE         IPMI 1.5 authentication: NONE, MD5, PASSWORD
    -L LEVEL        privilege level [ADMINISTRATOR]; with + looked up together with the name
    -N SECONDS, -R N  first time-out, and attempts
    -t, -b, -T, -B  bridging: target and channel, transit and channel
    -o QUIRK        departures of a BMC by name; -o list
    -c, -v, --json  CSV, more, one JSON object
    --fanout N      hosts in conversation at once [256]
    --stagger TIME  time between two hosts: 500ms, 5s, 1m
    --batch N       hosts that start together, as far as the power supply allows [1]
    --allow-weak    with many hosts: suites but 3 and 17, and IPMI 1.5
    --yes           more than 256 machines switched, or 4096 asked
    --log-format text|json, --log-level error|warn|info|debug|trace  messages on standard error
    -V, -h";

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
            batch: 1,
            allow_weak: false,
            yes: false,
            messages: output::Messages::default(),
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
                "--yes" => options.yes = true,
                _ if argument.starts_with("--") => {
                    let (name, attached) = match argument.split_once('=') {
                        Some((name, value)) => (name, Some(value.to_owned())),
                        None => (argument.as_str(), None),
                    };
                    if !LONG.contains(&name) {
                        return Err(stop(format!("unknown option {name}; see ipmi -h")));
                    }
                    let value = attached.or_else(|| arguments.next());
                    let value = value.ok_or_else(|| stop(format!("{name} requires a value")))?;
                    options.long(name, &value)?;
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
        let number = || value.parse().map_err(|_| stop(format!("{name} {value:?} is no number")));
        match name {
            "--fanout" => self.fanout = number()?,
            "--batch" => self.batch = number()?,
            "--stagger" => self.stagger = crate::netboot::duration(value).map_err(stop)?,
            "--log-format" => self.messages.set_format(value).map_err(stop)?,
            _ => self.messages.set_level(value).map_err(stop)?,
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
                let found = secret::from_environment(&crate::hidden::VARIABLES);
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
                return Err(Stop { text: HELP.into(), code: 0 });
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, Stop> {
        Options::parse(line.split(' ').map(str::to_owned).collect())
    }

    #[test]
    fn long_options_stand_anywhere_and_unknown_ones_are_named() {
        let options = parse("-H a[1-9] --fanout=7 power --stagger 2s on --log-level=warn --yes").unwrap();
        assert_eq!((options.fanout, options.stagger, options.yes), (7, Duration::from_secs(2), true));
        assert_eq!(options.words, ["power", "on"]);
        for (line, word) in [
            ("--fanot 7 power on", "--fanot"),
            ("power on --fanout", "--fanout"),
            ("--log-format yaml power on", "text or json"),
            ("--log-level loud power on", "loud"),
        ] {
            let stop = parse(line).unwrap_err();
            assert!(stop.code == 1 && stop.text.contains(word), "{line}: {stop:?}");
        }
    }
}
