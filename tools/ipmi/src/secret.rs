//! Passwords: from a file, the environment, a prompt; never printed.

use std::path::Path;

use zeroize::Zeroizing;

/// The first line of a file, without its end of line.
pub(crate) fn from_file(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let read = std::fs::read(path).map(Zeroizing::new);
    let octets = read.map_err(|error| format!("reading the password file {}: {error}", path.display()))?;
    let line = octets.split(|octet| matches!(octet, b'\n' | b'\r')).next().unwrap_or_default();
    Ok(Zeroizing::new(line.to_vec()))
}

/// The first of these environment variables that is set.
pub(crate) fn from_environment(names: &[&str]) -> Option<Zeroizing<Vec<u8>>> {
    names.iter().find_map(|name| std::env::var(name).ok()).map(|text| Zeroizing::new(text.into_bytes()))
}

/// Asks at the terminal.
pub(crate) fn from_prompt() -> Result<Zeroizing<Vec<u8>>, String> {
    let typed = rpassword::prompt_password("Password: ");
    typed
        .map(|text| Zeroizing::new(text.into_bytes()))
        .map_err(|error| format!("asking for the password: {error}"))
}
