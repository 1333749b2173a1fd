//! `kpc console`: a machine's serial console by its BMC (serial over LAN, IPMI v2.0 §15). The login is read from the
//! server's data folder, so it takes root or the server's account.

use std::io::IsTerminal as _;
use std::net::SocketAddr;

use ipmi::driver::{BmcConfig, Sol, SolEvent};
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::logins::{Logins, Who};
use super::vault;
use crate::args::Console;
use crate::client::Client;
use crate::config::Config;
use crate::verbs::Verdict;

/// The terminal without line editing; as it was when dropped.
struct RawTerminal(Option<Termios>);

impl RawTerminal {
    fn enter() -> Self {
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Self(None);
        }
        let before = tcgetattr(&stdin).ok();
        if let Some(mut raw) = before.clone() {
            cfmakeraw(&mut raw);
            // A terminal that refuses stays as it is.
            let _ = tcsetattr(&stdin, SetArg::TCSANOW, &raw);
        }
        Self(before)
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), SetArg::TCSANOW, before);
        }
    }
}

/// The verb.
pub(crate) async fn console(client: &Client, config: Option<&Config>, arguments: &Console) -> Verdict {
    let shown: Value = client.get(&format!("/v1/machines/{}", arguments.machine)).await?;
    let bmc = shown.pointer("/status/bmc").and_then(Value::as_str).unwrap_or_default();
    let address: SocketAddr = match bmc.parse() {
        Ok(address) => address,
        Err(_) => SocketAddr::new(
            bmc.parse().map_err(|_| format!("{}: no BMC is recorded", arguments.machine))?,
            623,
        ),
    };
    let config =
        config.ok_or("the console needs the configuration that the server has: name it with --config")?;
    let file = config.bmc_logins();
    let login = match Logins::read(&file)
        .map(|logins| logins.of(&Who { address: Some(address.ip()), ..Who::default() }))
    {
        Ok(Some(login)) => login.credentials()?,
        _ => configured(config)
            .map_err(|error| format!("{}: no login for {address} in it; {error}", file.display()))?,
    };
    let mut sol = Sol::connect(BmcConfig::new(address, login)).await.map_err(|error| error.to_string())?;
    eprintln!("[console of {}; ~. at the begin of a line ends it]", arguments.machine);
    let terminal = RawTerminal::enter();
    let outcome = converse(&mut sol).await;
    sol.close().await;
    drop(terminal);
    eprintln!();
    outcome.map(|()| 0)
}

/// The login of the configuration.
fn configured(config: &Config) -> Result<ipmi::driver::Credentials, String> {
    let path = config.bmc.password_file.as_ref().ok_or("and kpc.toml has no bmc.password_file")?;
    vault::login(&config.bmc.user, path)
}

/// Moves characters both ways until `~.` at the begin of a line, or the end of the input.
async fn converse(sol: &mut Sol) -> Result<(), String> {
    let (mut stdin, mut stdout) = (tokio::io::stdin(), tokio::io::stdout());
    let mut typed = [0; 256];
    let mut escape = Escape::default();
    let mut open = true;
    loop {
        tokio::select! {
            event = sol.next() => match event.map_err(|error| error.to_string())? {
                SolEvent::Received(characters) => {
                    let shown = stdout.write_all(&characters).await;
                    // Nobody reads any more.
                    let Ok(()) = shown.and(stdout.flush().await) else { return Ok(()) };
                }
                SolEvent::Lost => eprintln!("\r\n[lost; taking it up again]\r"),
                SolEvent::Resumed => eprintln!("\r\n[taken up again]\r"),
                _ => {}
            },
            read = stdin.read(&mut typed), if open => {
                let count = read.unwrap_or(0);
                if count == 0 {
                    open = false;
                    continue;
                }
                match escape.filter(typed.get(..count).unwrap_or_default()) {
                    Some(characters) => _ = sol.send(&characters),
                    None => return Ok(()),
                }
            }
        }
    }
}

/// Where typing is: `~` counts at the begin of a line alone.
struct Escape {
    line_begins: bool,
    tilde: bool,
}

impl Default for Escape {
    fn default() -> Self {
        Self { line_begins: true, tilde: false }
    }
}

impl Escape {
    /// What goes to the machine; `None` after `~.`.
    fn filter(&mut self, typed: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(typed.len() + 1);
        for character in typed.iter().copied() {
            match (self.tilde, character) {
                (true, b'.') => return None,
                (true, b'~') => out.push(b'~'),
                (true, other) => out.extend_from_slice(&[b'~', other]),
                (false, b'~') if self.line_begins => {
                    self.tilde = true;
                    continue;
                }
                (false, other) => out.push(other),
            }
            self.tilde = false;
            self.line_begins = matches!(character, b'\r' | b'\n');
        }
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_escape_counts_at_the_begin_of_a_line() {
        let typed = |text: &[u8]| Escape::default().filter(text);
        assert_eq!(typed(b"ls ~.\r"), Some(b"ls ~.\r".to_vec()));
        assert_eq!(typed(b"ls\r~."), None);
        assert_eq!(typed(b"~~.\r"), Some(b"~.\r".to_vec()));
        assert_eq!(typed(b"~x"), Some(b"~x".to_vec()));
        let mut slow = Escape::default();
        assert_eq!(slow.filter(b"~"), Some(Vec::new()));
        assert_eq!(slow.filter(b"."), None);
    }
}
