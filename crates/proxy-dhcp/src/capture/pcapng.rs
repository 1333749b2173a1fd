//! The block format (draft-ietf-opsawg-pcapng): sections with interfaces, each with its link type and clock.

use super::{LinkType, Order, Packet};
use std::time::Duration;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const INTERFACE_DESCRIPTION: u32 = 1;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const IF_TSRESOL: u16 = 9;
/// Interfaces of a section that are remembered.
const INTERFACES: usize = 256;

#[derive(Clone, Debug)]
pub(super) struct Pcapng<'a> {
    order: Order,
    interfaces: Vec<(LinkType, u8)>,
    rest: &'a [u8],
}

impl<'a> Pcapng<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Option<Self> {
        let (first, rest) = file.split_first_chunk::<4>()?;
        if *first != SECTION_HEADER.to_be_bytes() {
            return None;
        }
        byte_order(rest)?;
        Some(Self { order: Order::Big, interfaces: Vec::new(), rest: file })
    }

    pub(super) fn next(&mut self) -> Option<Packet<'a>> {
        loop {
            let (kind, body) = self.block()?;
            match kind {
                SECTION_HEADER => self.interfaces.clear(),
                INTERFACE_DESCRIPTION => self.interface(body),
                ENHANCED_PACKET => {
                    if let Some(packet) = self.enhanced(body) {
                        return Some(packet);
                    }
                }
                SIMPLE_PACKET => {
                    let octets = body.get(4..)?;
                    let (link, _) = self.interfaces.first()?;
                    return Some(Packet { at: Duration::ZERO, link: *link, octets });
                }
                _ => {}
            }
        }
    }

    /// Type and body of the next block; a section header sets the byte order.
    fn block(&mut self) -> Option<(u32, &'a [u8])> {
        let mut rest = self.rest;
        let (first, behind) = rest.split_first_chunk::<4>()?;
        if *first == SECTION_HEADER.to_be_bytes() {
            self.order = byte_order(behind)?;
        }
        let kind = self.order.take_u32(&mut rest)?;
        let length = self.order.take_u32(&mut rest)?;
        let body = Order::take(&mut rest, length.checked_sub(12)?)?;
        self.order.take_u32(&mut rest)?; // the length again
        self.rest = rest;
        Some((kind, body))
    }

    fn interface(&mut self, body: &[u8]) {
        let Some((link, mut options)) = body.split_first_chunk::<2>() else { return };
        options = options.get(6..).unwrap_or_default(); // reserved, snap length
        let mut resolution = 6;
        while let Some(([c0, c1, l0, l1], rest)) = options.split_first_chunk::<4>() {
            let (code, length) = (self.order.u16([*c0, *c1]), usize::from(self.order.u16([*l0, *l1])));
            if let (IF_TSRESOL, Some(value)) = (code, rest.first()) {
                resolution = *value;
            }
            options = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        if self.interfaces.len() < INTERFACES {
            self.interfaces.push((LinkType::from_code(self.order.u16(*link)), resolution));
        }
    }

    fn enhanced(&self, mut body: &'a [u8]) -> Option<Packet<'a>> {
        let number = usize::try_from(self.order.take_u32(&mut body)?).ok()?;
        let (high, low) = (self.order.take_u32(&mut body)?, self.order.take_u32(&mut body)?);
        let kept = self.order.take_u32(&mut body)?;
        let _whole = self.order.take_u32(&mut body)?;
        let octets = Order::take(&mut body, kept)?;
        let (link, resolution) = *self.interfaces.get(number)?;
        Some(Packet { at: time((u64::from(high) << 32) | u64::from(low), resolution), link, octets })
    }
}

fn byte_order(behind_type: &[u8]) -> Option<Order> {
    let magic = behind_type.get(4..)?.first_chunk::<4>()?;
    if *magic == BYTE_ORDER_MAGIC.to_be_bytes() {
        Some(Order::Big)
    } else {
        (*magic == BYTE_ORDER_MAGIC.to_le_bytes()).then_some(Order::Little)
    }
}

/// A time in units of `if_tsresol`: a power of ten, or of two where the upper bit is set.
fn time(units: u64, resolution: u8) -> Duration {
    let exponent = u32::from(resolution & 0x7f);
    let per_second = match resolution & 0x80 {
        0 => 10u64.checked_pow(exponent),
        _ => 1u64.checked_shl(exponent),
    };
    let Some(per_second) = per_second else { return Duration::ZERO };
    let nanoseconds = u128::from(units % per_second) * 1_000_000_000 / u128::from(per_second);
    Duration::new(units / per_second, u32::try_from(nanoseconds).unwrap_or_default())
}
