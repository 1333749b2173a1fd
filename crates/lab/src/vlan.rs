//! A tagged VLAN (IEEE 802.1Q §9.6) where the kernel makes no VLAN interfaces: frames go between one end of a veth and a
//! trunk, and get or lose their tag on the way. Called by tests; the other end of the veth is the VLAN's interface.

use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use nix::sys::socket::{LinkAddr, MsgFlags, sendto};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::capture::EVERY_PROTOCOL;
use crate::error::{LabError, Result};
use crate::pump::{LONGEST, TICK, fill_checksum, is_pause, link_address};

/// EtherType of a tag.
const TPID: [u8; 2] = [0x81, 0x00];
/// Both addresses, which stand before a tag.
const ADDRESSES: usize = 12;
/// VLAN identifiers (IEEE 802.1Q §9.6): 0 is no VLAN, 4095 is reserved.
const IDS: std::ops::RangeInclusive<u16> = 1..=4094;

/// A VLAN in use; dropping it cuts it.
#[derive(Debug)]
pub struct Vlan {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Vlan {
    /// Joins `inner` to VLAN `id` (1 to 4094) of `trunk`, both interfaces of the calling thread's namespace.
    ///
    /// # Errors
    /// [`LabError::Config`] for an identifier that is none, [`LabError::Io`] when an interface cannot be had.
    pub fn start(inner: &str, trunk: &str, id: u16) -> Result<Self> {
        if !IDS.contains(&id) {
            return Err(LabError::Config(format!("VLAN {id}: 1 to 4094")));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let (inside, outside) = (link_address(inner)?, link_address(trunk)?);
        let plain = open(&inside, None).map_err(LabError::io(format!("open {inner}")))?;
        let tagged = open(&outside, Some(id)).map_err(LabError::io(format!("open {trunk}")))?;
        let mut vlan = Self { stop, threads: Vec::new() };
        vlan.carry(plain, outside, move |frame| {
            fill_checksum(frame);
            let tag = [TPID, id.to_be_bytes()].concat();
            frame.splice(ADDRESSES..ADDRESSES, tag);
        })?;
        // The kernel has taken the tag out before a packet socket sees the frame.
        vlan.carry(tagged, inside, |frame| fill_checksum(frame))?;
        Ok(vlan)
    }

    /// One direction, on a thread of its own.
    fn carry(
        &mut self,
        mut from: Socket,
        to: LinkAddr,
        change: impl Fn(&mut Vec<u8>) + Send + 'static,
    ) -> Result<()> {
        let stop = Arc::clone(&self.stop);
        let work = move || {
            let mut buffer = vec![0; LONGEST];
            while !stop.load(Ordering::Relaxed) {
                let length = match from.read(&mut buffer) {
                    Ok(length) => length,
                    Err(error) if is_pause(error.kind()) => continue,
                    Err(_) => return,
                };
                let mut frame = buffer.get(..length).unwrap_or_default().to_vec();
                if frame.len() > ADDRESSES {
                    change(&mut frame);
                    // A full queue loses the frame, as a cable would.
                    let _ = sendto(from.as_raw_fd(), &frame, &to, MsgFlags::empty());
                }
            }
        };
        let thread = std::thread::Builder::new().name("vlan".to_owned()).spawn(work);
        self.threads.push(thread.map_err(LabError::io("start a thread"))?);
        Ok(())
    }
}

impl Drop for Vlan {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

/// A packet socket that sees what comes in at one interface: frames with this tag, or those without one
/// (`SKF_AD_PKTTYPE`, `SKF_AD_IFINDEX`, `SKF_AD_VLAN_TAG_PRESENT`, `SKF_AD_VLAN_TAG`).
fn open(link: &LinkAddr, id: Option<u16>) -> std::io::Result<Socket> {
    const LOAD_WORD: u16 = 0x20;
    const AND: u16 = 0x54;
    const JUMP_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PACKET_TYPE: u32 = 0xffff_f004;
    const INTERFACE_INDEX: u32 = 0xffff_f008;
    const TAG: u32 = 0xffff_f02c;
    const TAG_PRESENT: u32 = 0xffff_f030;
    const OUTGOING: u32 = 4;
    let index = u32::try_from(link.ifindex()).unwrap_or_default();
    let filter = [
        SockFilter::new(LOAD_WORD, 0, 0, INTERFACE_INDEX),
        SockFilter::new(JUMP_EQUAL, 0, 8, index),
        SockFilter::new(LOAD_WORD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 6, 0, OUTGOING),
        SockFilter::new(LOAD_WORD, 0, 0, TAG_PRESENT),
        SockFilter::new(JUMP_EQUAL, 0, 4, u32::from(id.is_some())),
        SockFilter::new(LOAD_WORD, 0, 0, TAG),
        SockFilter::new(AND, 0, 0, 0x0fff),
        SockFilter::new(JUMP_EQUAL, 0, 1, u32::from(id.unwrap_or(0))),
        SockFilter::new(RETURN, 0, 0, u32::try_from(LONGEST).unwrap_or(u32::MAX)),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(EVERY_PROTOCOL)))?;
    socket.attach_filter(&filter)?;
    socket.set_read_timeout(Some(TICK))?;
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_vlans_have_identifiers() {
        for id in [0, 4095] {
            let error = Vlan::start("lo", "lo", id).unwrap_err();
            assert!(error.to_string().contains("1 to 4094"), "{error}");
        }
    }
}
