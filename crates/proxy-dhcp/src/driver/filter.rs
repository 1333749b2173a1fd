//! Classic BPF programs for packet sockets: the kernel drops everything else before it costs a wake-up.

use socket2::SockFilter;

const LD_W_ABS: u16 = 0x20;
const LD_H_ABS: u16 = 0x28;
const LD_B_ABS: u16 = 0x30;
const LD_H_IND: u16 = 0x48;
const LDX_B_MSH: u16 = 0xb1;
const JEQ: u16 = 0x15;
const JSET: u16 = 0x45;
const RET: u16 = 0x06;

/// SKF_AD_OFF + SKF_AD_PKTTYPE: whom the frame was for.
const PACKET_TYPE: u32 = 0xffff_f004;
/// A frame for another host, which a bridge or a promiscuous card shows, or of a VLAN that has its own interface.
const OTHER_HOST: u32 = 3;
const WHOLE: u32 = 0xffff;

/// Lets nothing through: what a socket has until it is bound to its interface.
pub(super) const NOTHING: &[SockFilter] = &[SockFilter::new(RET, 0, 0, 0)];

/// UDP to the ports of a network boot, whole packets only: 67 and 4011 (requests), 68 (what others answer), 69 (whether
/// a loader is read; the packets after the first have other ports). Offsets are of Ethernet frames.
pub(super) const NETWORK_BOOT: &[SockFilter] = &[
    SockFilter::new(LD_W_ABS, 0, 0, PACKET_TYPE),
    SockFilter::new(JEQ, 10, 0, OTHER_HOST),
    SockFilter::new(LD_B_ABS, 0, 0, 23), // protocol
    SockFilter::new(JEQ, 0, 8, 17),
    SockFilter::new(LD_H_ABS, 0, 0, 20), // fragment
    SockFilter::new(JSET, 6, 0, 0x3fff),
    SockFilter::new(LDX_B_MSH, 0, 0, 14), // X = length of the IPv4 header
    SockFilter::new(LD_H_IND, 0, 0, 16),  // destination port
    SockFilter::new(JEQ, 4, 0, 67),
    SockFilter::new(JEQ, 3, 0, 68),
    SockFilter::new(JEQ, 2, 0, 69),
    SockFilter::new(JEQ, 1, 0, 4011),
    SockFilter::new(RET, 0, 0, 0),
    SockFilter::new(RET, 0, 0, WHOLE),
];

/// ICMPv6 router solicitations and advertisements, without extension headers.
pub(super) const ROUTER_DISCOVERY: &[SockFilter] = &[
    SockFilter::new(LD_W_ABS, 0, 0, PACKET_TYPE),
    SockFilter::new(JEQ, 5, 0, OTHER_HOST),
    SockFilter::new(LD_B_ABS, 0, 0, 20), // next header
    SockFilter::new(JEQ, 0, 3, 58),
    SockFilter::new(LD_B_ABS, 0, 0, 54), // type
    SockFilter::new(JEQ, 2, 0, 133),
    SockFilter::new(JEQ, 1, 0, 134),
    SockFilter::new(RET, 0, 0, 0),
    SockFilter::new(RET, 0, 0, WHOLE),
];
