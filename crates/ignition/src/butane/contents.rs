//! Contents as the shortest `data:` URL: escaped, base64, or gzip in base64.

use base64::Engine as _;
use flate2::{Compress, Compression, Crc, FlushCompress, Status};

use crate::data_url;

/// Makes `data:` URLs; one compressor serves all of a config's files.
pub(super) struct Encoder {
    compressor: Option<Compress>,
    packed: Vec<u8>,
}

/// gzip in base64 is at least this long: `;base64,` and 28 characters for header, an empty block and trailer.
const SHORTEST_GZIP: usize = 36;

impl Encoder {
    pub(super) fn new(compress: bool) -> Self {
        let compressor = compress.then(|| Compress::new(Compression::best(), false));
        Self { compressor, packed: Vec::new() }
    }

    /// The URL, and what to put into `compression`: the choice is explicit, so that a child config cannot inherit
    /// another one. `given` is the user's own: then the contents are already compressed.
    pub(super) fn url(&mut self, contents: &[u8], given: Option<&str>) -> (String, Option<&'static str>) {
        let given = given.is_some_and(|given| !given.is_empty());
        let escaped =
            1 + contents.iter().map(|byte| if data_url::is_unreserved(*byte) { 1 } else { 3 }).sum::<usize>();
        let encoded = 8 + contents.len().div_ceil(3) * 4;
        let shortest = escaped.min(encoded);
        if !given && shortest > SHORTEST_GZIP + 4 && self.pack(contents) {
            let packed = 8 + self.packed.len().div_ceil(3) * 4;
            if packed + "gzip".len() < shortest {
                return (base64_url(&self.packed), Some("gzip"));
            }
        }
        let compression = if given { None } else { Some("") };
        if encoded < escaped {
            return (base64_url(contents), compression);
        }
        let mut url = String::with_capacity(5 + escaped);
        url.push_str("data:,");
        data_url::escape(contents, &mut url);
        (url, compression)
    }

    /// Makes a gzip file (RFC 1952) of the contents. `false` if compression is off.
    fn pack(&mut self, contents: &[u8]) -> bool {
        let Some(compressor) = &mut self.compressor else { return false };
        compressor.reset();
        self.packed.clear();
        // Magic, deflate, no flags, no time, best compression, unknown system: as Go's writer.
        self.packed.extend([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
        self.packed.reserve(contents.len() / 2 + 64);
        let mut taken = 0;
        loop {
            let before = compressor.total_in();
            let rest = contents.get(taken..).unwrap_or_default();
            match compressor.compress_vec(rest, &mut self.packed, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => break,
                Ok(Status::Ok | Status::BufError) => {
                    taken += (compressor.total_in() - before) as usize;
                    self.packed.reserve(self.packed.len().max(64));
                }
                Err(_) => return false,
            }
        }
        let mut crc = Crc::new();
        crc.update(contents);
        self.packed.extend(crc.sum().to_le_bytes());
        self.packed.extend((contents.len() as u32).to_le_bytes());
        true
    }
}

fn base64_url(octets: &[u8]) -> String {
    let mut url = String::with_capacity(13 + octets.len().div_ceil(3) * 4);
    url.push_str("data:;base64,");
    base64::engine::general_purpose::STANDARD.encode_string(octets, &mut url);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_wins() {
        let mut encoder = Encoder::new(true);
        assert_eq!(encoder.url(b"a b", None), ("data:,a%20b".to_owned(), Some("")));
        assert_eq!(encoder.url(&[0; 6], None), ("data:;base64,AAAAAAAA".to_owned(), Some("")));
        let (url, compression) = encoder.url(&[b'x'; 1000], None);
        assert_eq!(compression, Some("gzip"));
        let mut plain = Vec::new();
        let octets = data_url::decode(&url).unwrap();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&octets[..]), &mut plain).unwrap();
        assert_eq!(plain, [b'x'; 1000]);
        assert_eq!(encoder.url(&[b'x'; 1000], Some("gzip")).1, None);
        assert_eq!(Encoder::new(false).url(&[b'x'; 1000], None).1, Some(""));
    }
}
