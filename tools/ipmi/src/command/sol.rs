//! `sol`: a serial console at the terminal (ipmitool's lib/ipmi_sol.c).

use std::os::fd::AsFd;

use ipmi::command::sol::DeactivateSol;
use ipmi::driver::{BmcConfig, BmcError, Sol, SolEvent};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcsetattr};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Context, Failed, sol_settings};
use crate::output::{line, note};

pub(super) const USAGE: &str = "\
SOL Commands: info [<channel number>]
              set <parameter> <value> [channel]
              payload <enable|disable|status> [channel] [userid]
              activate [instance=<number>]
              deactivate [instance=<number>]";

/// The number of `instance=N`; words about keep-alive are taken and mean nothing here.
fn instance(words: &[&str]) -> Result<u8, Failed> {
    let mut instance = 1;
    for word in words {
        match word.strip_prefix("instance=") {
            Some(number) => {
                let number = super::number(number).ok().filter(|number| (1..=15).contains(number));
                instance = number.ok_or_else(|| format!("Given instance '{word}' is invalid."))?;
            }
            None if matches!(*word, "usesolkeepalive" | "nokeepalive") => {}
            None => return Err(USAGE.to_owned().into()),
        }
    }
    Ok(instance)
}

pub(super) fn check(rest: &[&str]) -> Result<(), Failed> {
    match rest {
        [] | ["help", ..] => Ok(()),
        ["activate" | "deactivate", words @ ..] => instance(words).map(drop),
        ["info" | "set" | "payload", ..] => sol_settings::check(rest),
        _ => Err(USAGE.to_owned().into()),
    }
}

/// Whether these words need a session of their own; the others are commands like all.
pub(super) fn is_console(rest: &[&str]) -> bool {
    matches!(rest, ["activate", ..])
}

/// `sol deactivate`, `info`, `set`, `payload`.
pub(super) async fn manage(context: &mut Context, rest: &[&str]) -> Result<(), Failed> {
    let ["deactivate", words @ ..] = rest else { return sol_settings::run(context, rest).await };
    match context.bmc.execute(&DeactivateSol { instance: instance(words)? }).await {
        Err(BmcError::Completion(code)) if code.0 == 0x80 => {
            note("Info: SOL payload already de-activated");
            Ok(())
        }
        Err(BmcError::Completion(code)) => {
            Err(format!("Error de-activating SOL payload: {}", code.text()).into())
        }
        other => Ok(other?),
    }
}

/// The terminal without line editing; as it was when dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> Self {
        let stdin = std::io::stdin();
        if !isatty(stdin.as_fd()) {
            return Self(None);
        }
        let before = tcgetattr(stdin.as_fd()).ok();
        if let Some(mut raw) = before.clone() {
            raw.make_raw();
            let _ = tcsetattr(stdin.as_fd(), OptionalActions::Now, &raw); // a terminal that refuses stays as it is
        }
        Self(before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin().as_fd(), OptionalActions::Now, before);
        }
    }
}

/// `sol activate`.
pub(super) async fn run(config: BmcConfig) -> Result<(), Failed> {
    let mut sol = Sol::connect(config).await?;
    note("[SOL Session operational.  Use ~. to end it]");
    let terminal = RawTerminal::enter();
    let outcome = converse(&mut sol).await;
    sol.close().await;
    drop(terminal);
    line("");
    outcome
}

/// Moves characters both ways until `~.` at the start of a line, or the end of the input.
async fn converse(sol: &mut Sol) -> Result<(), Failed> {
    let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
    let mut typed = [0; 256];
    let (mut line_start, mut tilde, mut open) = (true, false, true);
    loop {
        tokio::select! {
            event = sol.next() => match event? {
                SolEvent::Received(characters) => {
                    let shown = stdout.write_all(&characters).await;
                    let Ok(()) = shown.and(stdout.flush().await) else { return Ok(()) }; // nobody reads any more
                }
                SolEvent::Lost => note("\r\n[SOL session lost; taking it up again]\r"),
                SolEvent::Resumed => note("\r\n[SOL session resumed]\r"),
                _ => {}
            },
            read = stdin.read(&mut typed), if open => {
                let count = read.unwrap_or(0);
                if count == 0 {
                    open = false;
                    continue;
                }
                let mut characters = Vec::with_capacity(count + 1);
                for c in typed.get(..count).unwrap_or_default().iter().copied() {
                    match (tilde, c) {
                        (true, b'.') => return Ok(()),
                        (true, b'~') => characters.push(b'~'),
                        (true, c) => characters.extend_from_slice(&[b'~', c]),
                        (false, b'~') if line_start => {
                            tilde = true;
                            continue;
                        }
                        (false, c) => characters.push(c),
                    }
                    tilde = false;
                    line_start = matches!(c, b'\r' | b'\n');
                }
                sol.send(&characters);
            }
        }
    }
}
