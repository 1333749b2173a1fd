//! To and from `dhcproto`'s messages, for people who hold those. Feature `dhcproto`.
//!
//! dhcproto keeps its options sorted and one of each number, so order, padding and repetition are lost on the way to it.

use crate::wire::{Message, ParseError, Writer, code};
use dhcproto::error::{DecodeError, EncodeError};
use dhcproto::v4;
use dhcproto::{Decodable as _, Decoder, Encodable as _};

impl TryFrom<&Message<'_>> for v4::Message {
    type Error = DecodeError;

    /// Copies a message. An option 94 that is not three octets long is left out: dhcproto 0.15 panics on it in debug
    /// builds and loses its place in release builds.
    fn try_from(message: &Message<'_>) -> Result<Self, DecodeError> {
        let (sname, file) = message.raw_names();
        let mut octets = Vec::with_capacity(576);
        let mut writer = Writer::new(&mut octets, &message.header(), sname, file);
        for option in message
            .options()
            .iter()
            .filter(|option| option.code != code::CLIENT_NDI || option.value.len() == 3)
        {
            writer.option(option.code, option.value);
        }
        writer.finish();
        Self::decode(&mut Decoder::new(&octets))
    }
}

/// The octets of a dhcproto message, from which a borrowed [`Message`] is read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Octets(Vec<u8>);

impl TryFrom<&v4::Message> for Octets {
    type Error = EncodeError;

    fn try_from(message: &v4::Message) -> Result<Self, EncodeError> {
        message.to_vec().map(Self)
    }
}

impl Octets {
    /// The message.
    ///
    /// # Errors
    /// Never for octets that dhcproto wrote, unless its message has an `op` of its own.
    pub fn message(&self) -> Result<Message<'_>, ParseError> {
        Message::parse(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dhcproto::v4::{DhcpOption, MessageType, OptionCode};

    #[test]
    fn there_and_back() {
        let mut message = v4::Message::default();
        message.set_xid(7).set_chaddr(&[2, 0, 0, 0, 0, 1]).set_fname(b"undionly.kpxe");
        message.opts_mut().insert(DhcpOption::MessageType(MessageType::Discover));
        let octets = Octets::try_from(&message).unwrap();
        let ours = octets.message().unwrap();
        assert_eq!((ours.xid, ours.file()), (7, &b"undionly.kpxe"[..]));
        let again = v4::Message::try_from(&ours).unwrap();
        assert_eq!(again.opts().get(OptionCode::MessageType), message.opts().get(OptionCode::MessageType));
        assert_eq!(again.fname(), Some(&b"undionly.kpxe\0"[..]), "dhcproto keeps the NUL");
    }

    #[test]
    fn a_bad_option_94_is_left_out() {
        // dhcproto 0.15: debug_assert on the length.
        let mut octets = Octets::try_from(&v4::Message::default()).unwrap().0;
        octets.truncate(240);
        octets.extend_from_slice(&[94, 2, 1, 2, 60, 3, b'P', b'X', b'E', 255]);
        let message = v4::Message::try_from(&Message::parse(&octets).unwrap()).unwrap();
        assert!(message.opts().get(OptionCode::ClassIdentifier).is_some());
    }
}
