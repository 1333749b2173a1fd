//! The classic format (draft-ietf-opsawg-pcap): 24 octets, then 16 before each frame.

use super::{LinkType, Order, Packet};
use std::time::Duration;

#[derive(Clone, Debug)]
pub(super) struct Pcap<'a> {
    order: Order,
    nanoseconds: bool,
    link: LinkType,
    rest: &'a [u8],
}

impl<'a> Pcap<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Option<Self> {
        let (magic, mut rest) = file.split_first_chunk::<4>()?;
        let (order, nanoseconds) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (Order::Big, false),
            [0xd4, 0xc3, 0xb2, 0xa1] => (Order::Little, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (Order::Big, true),
            [0x4d, 0x3c, 0xb2, 0xa1] => (Order::Little, true),
            _ => return None,
        };
        Order::take(&mut rest, 16)?; // version, zone, accuracy, snap length
        let link = order.take_u32(&mut rest)? & 0xffff; // the upper half tells of frame check sequences
        Some(Self { order, nanoseconds, link: LinkType::from_code(u16::try_from(link).ok()?), rest })
    }

    pub(super) fn next(&mut self) -> Option<Packet<'a>> {
        let seconds = self.order.take_u32(&mut self.rest)?;
        let fraction = self.order.take_u32(&mut self.rest)?;
        let kept = self.order.take_u32(&mut self.rest)?;
        let _whole = self.order.take_u32(&mut self.rest)?;
        let octets = Order::take(&mut self.rest, kept)?;
        let fraction = if self.nanoseconds { fraction } else { fraction.saturating_mul(1000) };
        let at = Duration::from_secs(seconds.into()) + Duration::from_nanos(fraction.into());
        Some(Packet { at, link: self.link, octets })
    }
}
