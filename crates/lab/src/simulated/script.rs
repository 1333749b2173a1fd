//! iPXE scripts as far as boot servers write them: `chain`, `kernel`, `initrd`, `boot`, `goto`, `sleep`, `set`, `||` and
//! `&&`. Pure: it says what to do next, and is told whether that worked.

use std::collections::BTreeMap;

/// Steps that a script may take between two requests; more is a loop without an end.
const STEPS: usize = 1000;

/// What the machine is to do next.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Fetch a script and run it instead.
    Chain(String),
    /// Fetch a kernel; its command line.
    Kernel(String, String),
    /// Fetch an initrd.
    Initrd(String),
    /// Wait, in seconds.
    Sleep(u64),
    /// Start what was fetched.
    Boot,
    /// Leave iPXE: the next boot device, or a shell.
    Exit,
}

/// A script under way.
#[derive(Clone, Debug)]
pub struct Script {
    lines: Vec<String>,
    at: usize,
    /// The rest of a line with `||` or `&&`, with what it waits for.
    pending: Option<(bool, String)>,
    settings: BTreeMap<String, String>,
}

impl Script {
    /// Begins a script with the machine's settings (`net0/mac`, `uuid`, …). `None`: not an iPXE script.
    #[must_use]
    pub fn new(text: &str, settings: BTreeMap<String, String>) -> Option<Self> {
        text.starts_with("#!ipxe").then(|| Self {
            lines: text.lines().map(|line| line.trim().to_owned()).collect(),
            at: 1,
            pending: None,
            settings,
        })
    }

    /// The next thing to do, after the last one worked (`true`) or did not. `Err`: the script failed.
    ///
    /// # Errors
    /// What iPXE would print before it gives up.
    pub fn next(&mut self, worked: bool) -> Result<Action, String> {
        let mut worked = worked;
        for _ in 0..STEPS {
            let line = match self.pending.take() {
                Some((on_success, rest)) if on_success == worked => rest,
                // The other alternative is not needed; what follows it in the line may be.
                Some((true, rest)) => {
                    self.pending = alternative(&rest, false);
                    if self.pending.is_none() {
                        return Err("a command failed".to_owned());
                    }
                    continue;
                }
                Some((false, _)) => {
                    worked = true;
                    continue;
                }
                None if !worked => return Err("a command failed".to_owned()),
                None => {
                    let Some(line) = self.lines.get(self.at) else { return Ok(Action::Exit) };
                    self.at += 1;
                    line.clone()
                }
            };
            let (command, pending) = split(&line);
            self.pending = pending;
            match self.run(&command)? {
                Some(action) => return Ok(action),
                None => worked = true,
            }
        }
        Err("the script goes round without an end".to_owned())
    }

    fn run(&mut self, command: &str) -> Result<Option<Action>, String> {
        let expanded = self.expand(command);
        let mut words = expanded.split_whitespace();
        let verb = words.next().unwrap_or_default();
        let words: Vec<&str> = words.filter(|word| !word.starts_with("--")).collect();
        let first = || words.first().map(|word| (*word).to_owned()).ok_or(format!("{verb}: no argument"));
        Ok(match verb {
            "chain" | "imgexec" => Some(Action::Chain(first()?)),
            "kernel" => Some(Action::Kernel(first()?, words.get(1..).unwrap_or_default().join(" "))),
            "initrd" | "module" => Some(Action::Initrd(first()?)),
            "sleep" => Some(Action::Sleep(first()?.parse().unwrap_or(1))),
            "boot" => Some(Action::Boot),
            "exit" | "shell" | "sanboot" | "reboot" | "poweroff" => Some(Action::Exit),
            "goto" => {
                let label = format!(":{}", first()?);
                let at = self.lines.iter().position(|line| *line == label);
                self.at = at.ok_or(format!("goto: no label {label}"))?;
                self.pending = None;
                None
            }
            "set" => {
                let value = words.get(1..).unwrap_or_default().join(" ");
                self.settings.insert(first()?, value);
                None
            }
            _ => None, // echo, labels, comments, and what only a person at the machine would see
        })
    }

    /// Replaces `${name}` and `${name:type}`; a setting that is not there is empty.
    fn expand(&self, command: &str) -> String {
        let (mut expanded, mut rest) = (String::new(), command);
        while let Some((before, after)) = rest.split_once("${") {
            expanded.push_str(before);
            let Some((name, after)) = after.split_once('}') else { return expanded };
            let (name, kind) = name.split_once(':').unwrap_or((name, ""));
            let value = self.settings.get(name).or_else(|| self.settings.get(name.strip_prefix("net0/")?));
            let value = value.map(String::as_str).unwrap_or_default();
            expanded.push_str(&if kind == "hexhyp" { value.replace(':', "-") } else { value.to_owned() });
            rest = after;
        }
        expanded.push_str(rest);
        expanded
    }
}

/// The first command of a line and what waits for its outcome.
fn split(line: &str) -> (String, Option<(bool, String)>) {
    for (at, pair) in line.as_bytes().windows(2).enumerate() {
        if matches!(pair, b"||" | b"&&") {
            let command = line.get(..at).unwrap_or_default().trim().to_owned();
            let rest = line.get(at + 2..).unwrap_or_default().trim().to_owned();
            return (command, Some((pair == b"&&", rest)));
        }
    }
    (line.to_owned(), None)
}

/// Skips the first command of `rest` and returns what waits after it for `worked`.
fn alternative(rest: &str, worked: bool) -> Option<(bool, String)> {
    let (_, pending) = split(rest);
    match pending {
        Some((on_success, rest)) if on_success != worked => alternative(&rest, worked),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> Script {
        let settings = [("mac", "52:54:00:00:00:01"), ("uuid", "u-1")];
        Script::new(text, settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into()).unwrap()
    }

    #[test]
    fn a_boot_servers_first_script() {
        let mut script = script(
            "#!ipxe\n:again\nchain --replace ipxe?uuid=${uuid}&mac=${net0/mac:hexhyp}&x=${none} || goto later\n\
             :later\nsleep 5\ngoto again\n",
        );
        let chain = Action::Chain("ipxe?uuid=u-1&mac=52-54-00-00-00-01&x=".into());
        assert_eq!(script.next(true), Ok(chain.clone()));
        assert_eq!(script.next(false), Ok(Action::Sleep(5)));
        assert_eq!(script.next(true), Ok(chain));
    }

    #[test]
    fn a_kernel_and_its_initrd() {
        let mut script = script("#!ipxe\nkernel http://h/k a=b c\n\ninitrd http://h/i\nboot\n");
        assert_eq!(script.next(true), Ok(Action::Kernel("http://h/k".into(), "a=b c".into())));
        assert_eq!(script.next(true), Ok(Action::Initrd("http://h/i".into())));
        assert_eq!(script.next(true), Ok(Action::Boot));
        assert_eq!(script.next(true), Ok(Action::Exit));
        let mut script = self::script("#!ipxe\nkernel http://h/k\n");
        script.next(true).unwrap();
        assert!(script.next(false).is_err());
    }

    #[test]
    fn what_never_ends_is_an_error() {
        assert!(script("#!ipxe\n:a\ngoto a\n").next(true).is_err());
        assert!(script("#!ipxe\ngoto nowhere\n").next(true).is_err());
        assert!(Script::new("<html>", BTreeMap::new()).is_none());
    }

    #[test]
    fn alternatives_of_one_line() {
        let mut both = script("#!ipxe\nchain a && boot || exit\n");
        both.next(true).unwrap();
        assert_eq!(both.clone().next(true), Ok(Action::Boot));
        assert_eq!(both.next(false), Ok(Action::Exit));
    }
}
