//! Content types guessed from the first octets, as Go's `DetectContentType` does (WHATWG MIME sniffing, its older
//! table). `driver::http` asks for answers that name no type.

/// Go looks at no more than this.
const SNIFF_LEN: usize = 512;

const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";

/// Tags that make a text HTML when a space or `>` follows.
const HTML_TAGS: [&[u8]; 17] = [
    b"<!DOCTYPE HTML",
    b"<HTML",
    b"<HEAD",
    b"<SCRIPT",
    b"<IFRAME",
    b"<H1",
    b"<DIV",
    b"<FONT",
    b"<TABLE",
    b"<A",
    b"<STYLE",
    b"<TITLE",
    b"<B",
    b"<BODY",
    b"<BR",
    b"<P",
    b"<!--",
];

/// Prefixes and their types, in the order they are tried.
const PREFIXES: [(&[u8], &str); 6] = [
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", TEXT),
    (b"GIF87a", "image/gif"),
];

const BINARY_PREFIXES: [(&[u8], &str); 9] = [
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"OggS\0", "application/ogg"),
    (b"MThd\0\0\0\x06", "audio/midi"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
];

/// The Content-Type of these octets.
///
/// ```
/// assert_eq!(bootcfg::sniff::content_type(b"#!ipxe\n"), "text/plain; charset=utf-8");
/// assert_eq!(bootcfg::sniff::content_type(b"  <html>"), "text/html; charset=utf-8");
/// ```
pub fn content_type(octets: &[u8]) -> &'static str {
    let data = octets.get(..SNIFF_LEN).unwrap_or(octets);
    let is_space = |octet: &u8| matches!(octet, b'\t' | b'\n' | 0x0c | b'\r' | b' ');
    let start = data.iter().position(|octet| !is_space(octet)).unwrap_or(data.len());
    let text = data.get(start..).unwrap_or_default();
    if HTML_TAGS.iter().any(|tag| is_tag(text, tag)) {
        return HTML;
    }
    if text.starts_with(b"<?xml") {
        return "text/xml; charset=utf-8";
    }
    for (prefix, kind) in PREFIXES {
        // The byte order marks count only where more octets follow them (their masks are four octets long).
        let long_enough = prefix.len() > 3 || data.len() >= 4;
        if data.starts_with(prefix) && long_enough {
            return kind;
        }
    }
    binary(data).unwrap_or(if text.iter().any(|octet| is_binary(*octet)) {
        "application/octet-stream"
    } else {
        TEXT
    })
}

fn binary(data: &[u8]) -> Option<&'static str> {
    if let Some((_, kind)) = BINARY_PREFIXES.iter().find(|(prefix, _)| data.starts_with(prefix)) {
        return Some(kind);
    }
    let at = |from: usize, want: &[u8]| data.get(from..from + want.len()) == Some(want);
    if at(0, b"RIFF") {
        if at(8, b"WEBPVP") {
            return Some("image/webp");
        }
        if at(8, b"WAVE") {
            return Some("audio/wave");
        }
        if at(8, b"AVI ") {
            return Some("video/avi");
        }
    }
    if at(0, b"FORM") && at(8, b"AIFF") {
        return Some("audio/aiff");
    }
    for (prefix, kind) in [
        (&b".snd"[..], "audio/basic"),
        (b"ID3", "audio/mpeg"),
        (b"BM", "image/bmp"),
        (b"\0\0\x01\0", "image/x-icon"),
        (b"\0\0\x02\0", "image/x-icon"),
        (b"\0\x01\0\0", "font/ttf"),
        (b"OTTO", "font/otf"),
        (b"ttcf", "font/collection"),
        (b"PK\x03\x04", "application/zip"),
        (b"Rar!\x1a\x07\0", "application/x-rar-compressed"),
        (b"Rar!\x1a\x07\x01\0", "application/x-rar-compressed"),
        (b"\0asm", "application/wasm"),
    ] {
        if data.starts_with(prefix) {
            return Some(kind);
        }
    }
    if at(34, b"LP") {
        return Some("application/vnd.ms-fontobject");
    }
    is_mp4(data).then_some("video/mp4")
}

fn is_tag(text: &[u8], tag: &[u8]) -> bool {
    let same = |(octet, want): (&u8, &u8)| {
        if want.is_ascii_uppercase() { octet & 0xdf == *want } else { octet == want }
    };
    text.len() > tag.len()
        && text.iter().zip(tag).all(same)
        && matches!(text.get(tag.len()), Some(b' ' | b'>'))
}

fn is_mp4(data: &[u8]) -> bool {
    let Some(&size) = data.first_chunk::<4>() else { return false };
    let size = u32::from_be_bytes(size) as usize;
    if data.len() < 12 || data.len() < size || !size.is_multiple_of(4) || data.get(4..8) != Some(b"ftyp") {
        return false;
    }
    (8..size).step_by(4).any(|at| at != 12 && data.get(at..at + 3) == Some(b"mp4"))
}

fn is_binary(octet: u8) -> bool {
    matches!(octet, 0..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn the_corpus_types() {
        for (octets, want) in [
            (&b""[..], "text/plain; charset=utf-8"),
            (b"<!DOCTYPE html><p>val</p>", "text/html; charset=utf-8"),
            (b"<p>hi</p>", "text/html; charset=utf-8"),
            (b"<h1", "text/plain; charset=utf-8"),
            (b"<?xml version=\"1.0\"?>", "text/xml; charset=utf-8"),
            (b"%PDF-1.4 val", "application/pdf"),
            (b"\0\x01val\x02", "application/octet-stream"),
            (b"\xef\xbb\xbfval", "text/plain; charset=utf-8"),
            (b"caf\xe9 val", "text/plain; charset=utf-8"),
            (b"\x1f\x8b\x08rest", "application/x-gzip"),
        ] {
            assert_eq!(content_type(octets), want, "{octets:?}");
        }
    }
}
