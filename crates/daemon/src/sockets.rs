//! Sockets: systemd's, in the order of the unit's `ListenStream=`/`ListenDatagram=` lines, or our own.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use socket2::{Domain, Protocol, Socket, Type};

/// Connections that wait to be accepted: a rack that powers on at once comes in one burst.
const BACKLOG: i32 = 4096;

/// The sockets that systemd gave (`LISTEN_FDS`), taken one after the other.
pub struct Given {
    sockets: listenfd::ListenFd,
    next: usize,
}

impl Given {
    /// What systemd gave to this process; nothing where there is no systemd.
    pub fn from_environment() -> Self {
        Self { sockets: listenfd::ListenFd::from_env(), next: 0 }
    }

    /// The next socket if it is a TCP listener, else one of our own on the first of `addresses` that can be had;
    /// non-blocking.
    ///
    /// # Errors
    /// The given socket is of another kind, or no address can be listened on.
    pub fn tcp(&mut self, addresses: &[SocketAddr]) -> io::Result<TcpListener> {
        let given = self.sockets.take_tcp_listener(self.next)?;
        self.next += 1;
        let listener = given.map_or_else(|| listen_tcp(addresses), Ok)?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// The next socket, a UDP one; `None` where systemd gave no more, so that the caller binds its own.
    ///
    /// # Errors
    /// The given socket is of another kind.
    pub fn udp(&mut self) -> io::Result<Option<UdpSocket>> {
        let given = self.sockets.take_udp_socket(self.next)?;
        self.next += 1;
        Ok(given)
    }

    /// The next socket, a listener in the file system; `None` where systemd gave no more.
    ///
    /// # Errors
    /// The given socket is of another kind.
    pub fn unix(&mut self) -> io::Result<Option<UnixListener>> {
        let given = self.sockets.take_unix_listener(self.next)?;
        self.next += 1;
        Ok(given)
    }
}

/// Listens on the first of `addresses` that can be had. An IPv6 address takes IPv4 too. Call it before privileges end.
///
/// # Errors
/// The last address's refusal, with what to do.
pub fn listen_tcp(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut last = io::Error::other("no address to listen on");
    for address in addresses {
        match listen_on(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = io::Error::new(error.kind(), remedy(*address, &error)),
        }
    }
    Err(last)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn remedy(address: SocketAddr, error: &io::Error) -> String {
    let port = address.port();
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            format!("cannot listen on {address}: {error}; `ss -tlnp sport = :{port}` names the other server")
        }
        io::ErrorKind::PermissionDenied => {
            format!("cannot listen on {address}: {error}; start as root or take a port above 1023")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("cannot listen on {address}: {error}; `ip address` lists this host's addresses")
        }
        _ => format!("cannot listen on {address}: {error}"),
    }
}

/// Listens on a socket in the file system, which only its owner may use, or `group` too. What a server left behind that
/// has ended is replaced.
///
/// # Errors
/// Another server listens there ([`io::ErrorKind::AddrInUse`]), or the place cannot be written.
pub fn listen_unix(path: &Path, group: Option<u32>) -> io::Result<UnixListener> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if path.exists() {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another server listens there"));
        }
        fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    if group.is_some() {
        std::os::unix::fs::chown(path, None, group)?;
    }
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    Ok(listener)
}

/// Raises the limit of open files as far as this account may: every connection needs one.
pub fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard); // the old limit serves too
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_that_is_taken_is_named_with_its_remedy() {
        let taken = listen_tcp(&["127.0.0.1:0".parse().unwrap()]).unwrap().local_addr().unwrap();
        let holder = listen_tcp(&[taken]).unwrap();
        let error = listen_tcp(&[taken]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("sport = :{}", taken.port())), "{error}");
        drop(holder);
    }

    #[test]
    fn the_second_address_serves_where_the_first_is_not_ours() {
        let addresses = ["192.0.2.1:0".parse().unwrap(), "127.0.0.1:0".parse().unwrap()];
        assert!(listen_tcp(&addresses).unwrap().local_addr().unwrap().ip().is_loopback());
    }
}
