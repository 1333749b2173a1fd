//! `-P PASSWORD` and `-E`: a password among the arguments or in the environment is everybody's to read for as long as the
//! process runs (ipmitool writes over it). So the program starts itself anew, with the password in a file that has no
//! name in place of both.

use std::ffi::OsStr;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use rustix::fs::{MemfdFlags, memfd_create};

use crate::options::{LONG, VALUED};
use crate::secret;

/// The variables that `-E` reads, the first that is set.
pub(crate) const VARIABLES: [&str; 2] = ["IPMITOOL_PASSWORD", "IPMI_PASSWORD"];

/// Starts the program anew where its arguments or its environment show a password; returns where they do not.
pub(crate) fn hide(arguments: &[String]) -> Result<(), String> {
    let from_environment = secret::from_environment(&VARIABLES);
    let mut hider = Hider { from_environment: from_environment.as_deref().map(Vec::as_slice), found: None };
    let replaced = hider.replaced(arguments);
    let Some(password) = hider.found else { return Ok(()) };
    let failed = |error: std::io::Error| format!("hiding the password: {error}");
    // It stays open in the program that takes this one's place, and nowhere else has it a name.
    let file = memfd_create("ipmi", MemfdFlags::empty()).map_err(|error| failed(error.into()))?;
    let mut file = std::fs::File::from(file);
    file.write_all(&password).and_then(|()| file.rewind()).map_err(failed)?;
    let place = format!("/proc/self/fd/{}", file.as_raw_fd());
    let arguments = replaced.into_iter().map(|word| word.unwrap_or_else(|| place.clone()));
    let program = std::env::current_exe().map_err(failed)?;
    let mut anew = Command::new(program);
    let name = std::env::args_os().next();
    anew.arg0(name.as_deref().unwrap_or(OsStr::new("ipmi"))).args(arguments);
    for variable in VARIABLES {
        anew.env_remove(variable);
    }
    Err(failed(anew.exec()))
}

struct Hider<'a> {
    from_environment: Option<&'a [u8]>,
    /// The password that counts: the last one.
    found: Option<Vec<u8>>,
}

impl Hider<'_> {
    /// The arguments with `-f` in place of each `-P` and `-E`; `None` stands for its file.
    fn replaced(&mut self, arguments: &[String]) -> Vec<Option<String>> {
        let mut replaced = Vec::with_capacity(arguments.len() + 1);
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--" => {
                    replaced.push(Some(word.clone()));
                    replaced.extend(words.by_ref().cloned().map(Some));
                }
                name if LONG.contains(&name) => {
                    replaced.push(Some(word.clone()));
                    replaced.extend(words.next().cloned().map(Some));
                }
                _ if word.starts_with("--") || !word.starts_with('-') || word.len() == 1 => {
                    replaced.push(Some(word.clone()))
                }
                _ => self.cluster(word, &mut words, &mut replaced),
            }
        }
        replaced
    }

    /// One word of options, as `options` reads it.
    fn cluster<'w>(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = &'w String>,
        into: &mut Vec<Option<String>>,
    ) {
        let mut kept = String::from("-");
        for (at, letter) in word.char_indices().skip(1) {
            match (letter, self.from_environment) {
                ('E', Some(password)) => {
                    self.found = Some(password.to_vec());
                    into.extend([Some("-f".to_owned()), None]);
                }
                ('P', _) => {
                    let attached = word.get(at + 1..).filter(|text| !text.is_empty());
                    let Some(password) = attached.or_else(|| words.next().map(String::as_str)) else {
                        kept.push('P'); // told by `options`
                        break;
                    };
                    self.found = Some(password.as_bytes().to_vec());
                    if kept.len() > 1 {
                        into.push(Some(kept));
                    }
                    into.extend([Some("-f".to_owned()), None]);
                    return;
                }
                _ if VALUED.contains(letter) => {
                    kept.push_str(word.get(at..).unwrap_or_default());
                    let attached = word.len() > at + letter.len_utf8();
                    into.push(Some(kept));
                    if !attached {
                        into.extend(words.next().cloned().map(Some));
                    }
                    return;
                }
                _ => kept.push(letter),
            }
        }
        if kept.len() > 1 {
            into.push(Some(kept));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hidden(words: &str, environment: Option<&str>) -> (String, Option<String>) {
        let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
        let mut hider = Hider { from_environment: environment.map(str::as_bytes), found: None };
        let replaced = hider.replaced(&words);
        let line: Vec<String> = replaced.into_iter().map(|word| word.unwrap_or_else(|| "*".into())).collect();
        (line.join(" "), hider.found.map(|octets| String::from_utf8(octets).unwrap()))
    }

    #[test]
    fn a_password_is_found_wherever_getopt_finds_it() {
        let some = |text: &str| Some(text.to_owned());
        for (words, line, password) in [
            ("-H a -P b power status", "-H a -f * power status", some("b")),
            ("-Pb -H a", "-f * -H a", some("b")),
            ("-vvPb", "-vv -f *", some("b")),
            ("-vP b power", "-v -f * power", some("b")),
            ("-HP -U P power -P b", "-HP -U P power -f *", some("b")),
            ("--fanout -P -v", "--fanout -P -v", None),
            ("--log-level -P - -P b", "--log-level -P - -f *", some("b")),
            ("-I lan -- -P b", "-I lan -- -P b", None),
            ("-P", "-P", None),
            ("-f P power", "-f P power", None),
            ("-E power", "-E power", None),
        ] {
            assert_eq!(hidden(words, None), (line.to_owned(), password), "{words}");
        }
        assert_eq!(hidden("-vE power", Some("e")), ("-f * -v power".to_owned(), some("e")));
        assert_eq!(hidden("-P b power", Some("e")).1, some("b"));
    }
}
