//! The listening sockets: systemd's, in the order web, gRPC, metrics, or our own.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use crate::config::Config;

/// Connections that wait to be accepted: a rack that powers on at once comes in one burst.
const BACKLOG: i32 = 4096;

/// What to accept from.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) web: TcpListener,
    pub(crate) rpc: Option<TcpListener>,
    pub(crate) metrics: Option<TcpListener>,
}

/// Opens them all.
pub(crate) fn open(config: &Config) -> Result<Sockets, Box<dyn Error>> {
    raise_descriptor_limit();
    let mut given = listenfd::ListenFd::from_env();
    let mut next = 0;
    let mut listener = |addresses: &[SocketAddr]| -> Result<TcpListener, Box<dyn Error>> {
        let listener = match given.take_tcp_listener(next)? {
            Some(listener) => listener,
            None => bind(addresses)?,
        };
        next += 1;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    Ok(Sockets {
        web: listener(&config.address)?,
        rpc: config.rpc.as_ref().map(|(addresses, _)| listener(addresses)).transpose()?,
        metrics: config.metrics.as_ref().map(|addresses| listener(addresses)).transpose()?,
    })
}

fn bind(addresses: &[SocketAddr]) -> Result<TcpListener, Box<dyn Error>> {
    let mut last = "no address to listen on".to_string();
    for address in addresses {
        match bind_one(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => last = format!("cannot listen on {address}: {error}; is another server there?"),
        }
    }
    Err(last.into())
}

fn bind_one(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM.cloexec(), Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Every connection needs a descriptor; whoever may raise the limit does.
fn raise_descriptor_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}
