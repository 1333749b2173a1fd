//! Writes cpio archives as the kernel unpacks them: format "newc" (Linux, Documentation/driver-api/early-userspace/
//! buffer-format.rst). Called by `initrd`.

/// An archive being written.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    octets: Vec<u8>,
    inode: u32,
}

impl Archive {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory. Its parents must have been added before.
    pub fn directory(&mut self, path: &str) {
        self.entry(path, 0o040_755, (0, 0), b"");
    }

    /// Adds a file with its permissions (such as `0o755`).
    pub fn file(&mut self, path: &str, permissions: u32, contents: &[u8]) {
        self.entry(path, 0o100_000 | (permissions & 0o7777), (0, 0), contents);
    }

    /// Adds a symbolic link.
    pub fn symlink(&mut self, path: &str, target: &str) {
        self.entry(path, 0o120_777, (0, 0), target.as_bytes());
    }

    /// Adds a character device.
    pub fn character_device(&mut self, path: &str, permissions: u32, major: u32, minor: u32) {
        self.entry(path, 0o020_000 | (permissions & 0o7777), (major, minor), b"");
    }

    /// The finished archive.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.inode = 0;
        self.entry("TRAILER!!!", 0, (0, 0), b"");
        self.octets
    }

    fn entry(&mut self, path: &str, mode: u32, device: (u32, u32), contents: &[u8]) {
        let path = path.trim_start_matches('/');
        self.inode += 1;
        let links = if mode >> 12 == 4 { 2 } else { 1 };
        let size = u32::try_from(contents.len()).unwrap_or(u32::MAX);
        let name_size = u32::try_from(path.len() + 1).unwrap_or(u32::MAX);
        self.octets.extend(b"070701");
        // inode, mode, uid, gid, links, mtime, size, device of the file (2), device it names (2), name size, check
        for field in [self.inode, mode, 0, 0, links, 0, size, 0, 0, device.0, device.1, name_size, 0] {
            self.octets.extend(format!("{field:08x}").bytes());
        }
        self.octets.extend(path.bytes());
        self.octets.push(0);
        self.pad();
        self.octets.extend(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.octets.resize(self.octets.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    #[test]
    fn cpio_lists_what_was_written() {
        let mut archive = Archive::new();
        archive.directory("etc");
        archive.file("etc/hostname", 0o644, b"lab\n");
        archive.symlink("init", "etc/hostname");
        let octets = archive.finish();
        assert_eq!(octets.len() % 4, 0);
        assert!(octets.starts_with(b"070701"));
        let Ok(mut cpio) =
            Command::new("cpio").args(["-t", "--quiet"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()
        else {
            println!("skipped: no cpio here");
            return;
        };
        cpio.stdin.take().unwrap().write_all(&octets).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "etc\netc/hostname\ninit\n");
    }
}
