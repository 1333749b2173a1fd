//! The kernel's command line as parameters. A later word wins, as everywhere on that line.

/// What the boot script told this boot.
#[derive(Debug, Default, Eq, PartialEq)]
pub(crate) struct Parameters {
    /// The Ignition config.
    pub(crate) ignition: Option<String>,
    /// `http://host:port` of the server.
    pub(crate) server: Option<String>,
    /// The secret of this boot's claim.
    pub(crate) claim: Option<String>,
    /// The order is one to install; else the system runs from memory.
    pub(crate) installs: bool,
    /// Where the kernel came from.
    pub(crate) kernel: Option<String>,
    /// Where the initrd came from.
    pub(crate) initrd: Option<String>,
}

impl Parameters {
    /// Reads the line; words that are not ours are the kernel's.
    pub(crate) fn parse(line: &str) -> Self {
        let mut parameters = Self::default();
        for word in line.split_ascii_whitespace() {
            let Some((name, value)) = word.split_once('=') else { continue };
            let value = Some(value.trim_matches('"').to_owned()).filter(|value| !value.is_empty());
            match name {
                "ignition.config.url" | "coreos.config.url" => parameters.ignition = value,
                "kpc.server" => parameters.server = value.map(|url| url.trim_end_matches('/').to_owned()),
                "kpc.role" => parameters.installs = value.as_deref() == Some("install"),
                "kpc.claim" => parameters.claim = value,
                "kpc.kernel" => parameters.kernel = value,
                // Never `…initrd=`: Linux's EFI stub takes that ending for its own option wherever it stands.
                "kpc.ramdisk" => parameters.initrd = value,
                _ => {}
            }
        }
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_among_the_kernels() {
        let line = "BOOT_IMAGE=x console=ttyS0 ignition.config.url=http://a/ignition?mac=1&os=2 \
                    kpc.server=http://a:8080/ kpc.ramdisk=http://a/r kpc.claim= kpc.role=install quiet coreos.config.url=http://b/i\n";
        let parameters = Parameters::parse(line);
        assert_eq!(parameters.ignition.as_deref(), Some("http://b/i"));
        assert_eq!(parameters.server.as_deref(), Some("http://a:8080"));
        assert_eq!(parameters.initrd.as_deref(), Some("http://a/r"));
        assert_eq!((parameters.claim, parameters.installs), (None, true));
    }
}
