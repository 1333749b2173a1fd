//! Tells when an interface or an address changes: a netlink socket of which only the fact is read.

use nix::libc;
use nix::sys::socket::{NetlinkAddr, bind};
use socket2::{Domain, Socket, Type};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A socket that becomes readable when a link or an address changes.
#[derive(Debug)]
pub(super) struct Changes(Socket);

impl Changes {
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::from(libc::AF_NETLINK), Type::RAW.nonblocking().cloexec(), None)?;
        let groups = libc::RTMGRP_LINK | libc::RTMGRP_IPV4_IFADDR | libc::RTMGRP_IPV6_IFADDR;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, u32::try_from(groups).unwrap_or_default()))?;
        Ok(Self(socket))
    }

    /// Empties the socket; an overrun counts as a change like any other.
    pub(super) fn drain(&self) {
        let mut scrap = [MaybeUninit::<u8>::uninit(); 4096];
        while let Ok(1..) = self.0.recv(&mut scrap) {}
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
