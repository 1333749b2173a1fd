//! A boot program: which file from which server, or which URL, and in which form of answer.

use std::fmt;
use std::net::Ipv4Addr;

/// How an answer is given (PXE 2.1 §2.2; what each firmware takes is on the front page).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Form {
    /// By who asks: [`Self::Direct`] for BIOS and iPXE, [`Self::Binl`] for UEFI, [`Self::Http`] for HTTP Boot.
    #[default]
    Auto,
    /// File and server in the OFFER, with discovery control 8: no round to port 4011.
    Direct,
    /// The OFFER says only `PXEClient`; the file comes on port 4011. Every UEFI firmware takes it.
    Binl,
    /// A URL in the OFFER to an `HTTPClient`.
    Http,
}

/// What a machine is told to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BootProgram {
    file: String,
    server: Option<Ipv4Addr>,
    form: Form,
}

impl BootProgram {
    /// A file on the TFTP server at our own address, or a URL. `{server}` in it stands for our address on the
    /// interface of arrival.
    #[must_use]
    pub fn new(file: impl Into<String>) -> Self {
        Self { file: file.into(), server: None, form: Form::Auto }
    }

    /// Names the server the file is on.
    #[must_use]
    pub fn server(mut self, address: Ipv4Addr) -> Self {
        self.server = Some(address);
        self
    }

    /// Names the server unless one was named.
    #[must_use]
    pub fn default_server(mut self, address: Ipv4Addr) -> Self {
        self.server.get_or_insert(address);
        self
    }

    /// Chooses the form of the answer.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// The file or URL as configured.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The server the file is on; `None` is our own address.
    #[must_use]
    pub fn server_address(&self) -> Option<Ipv4Addr> {
        self.server
    }

    /// The form as configured.
    #[must_use]
    pub fn configured_form(&self) -> Form {
        self.form
    }

    /// Whether the file is a URL.
    #[must_use]
    pub fn is_url(&self) -> bool {
        is_url(&self.file)
    }

    /// The file for one client, with our address in it.
    #[must_use]
    pub fn file_for(&self, server: Ipv4Addr) -> BootFile<'_> {
        BootFile { template: &self.file, server }
    }
}

/// A file name or URL in which `{server}` becomes an address when printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BootFile<'a> {
    template: &'a str,
    server: Ipv4Addr,
}

impl<'a> BootFile<'a> {
    /// The file as configured, with `{server}` in it.
    #[must_use]
    pub fn template(&self) -> &'a str {
        self.template
    }

    /// What `{server}` becomes.
    #[must_use]
    pub fn server(&self) -> Ipv4Addr {
        self.server
    }

    /// Whether it is a URL.
    #[must_use]
    pub fn is_url(&self) -> bool {
        is_url(self.template)
    }

    /// The file as it is printed, where nothing in it becomes an address.
    pub(crate) fn literal(&self) -> Option<&'a str> {
        (!self.template.as_bytes().contains(&b'{')).then_some(self.template)
    }
}

impl fmt::Display for BootFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(literal) = self.literal() {
            return f.write_str(literal);
        }
        let mut parts = self.template.split("{server}");
        f.write_str(parts.next().unwrap_or_default())?;
        parts.try_for_each(|part| write!(f, "{}{part}", self.server))
    }
}

fn is_url(file: &str) -> bool {
    file.split_once(':').is_some_and(|(_, rest)| rest.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_put_into_the_url() {
        let address = Ipv4Addr::new(10, 0, 0, 1);
        let program = BootProgram::new("http://{server}:8080/{server}/x");
        assert_eq!(program.file_for(address).to_string(), "http://10.0.0.1:8080/10.0.0.1/x");
        assert_eq!(BootProgram::new("{serve}").file_for(address).to_string(), "{serve}");
    }
}
