//! Media types of files, detected from their first bytes.
//!
//! The signatures are those of <https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern>, which browsers use. A type that
//! a browser would execute is always detected as such, whatever the file's name is.

use crate::artifact::media_type_of;

/// First bytes of a file that [`detect`] needs.
pub const HEAD_MAX_BYTES: usize = 1024;

const BINARY: &str = "application/octet-stream";

/// Detects the media type of a file from its first bytes; among texts without a signature, from the ending of its name.
#[must_use]
pub fn detect(head: &[u8], name: &str) -> &'static str {
    let head = &head[..head.len().min(HEAD_MAX_BYTES)];
    if let Some(media_type) = media_type_of(head).or_else(|| of_binary(head)) {
        return media_type;
    }
    match text_of(head) {
        Some(text) => of_text(text, name),
        None => BINARY,
    }
}

/// True if a browser that opens a file of this type may show it in the page: it executes nothing in it.
#[must_use]
pub fn is_inert(media_type: &str) -> bool {
    let is_image = media_type.starts_with("image/") && media_type != "image/svg+xml";
    is_image
        || media_type.starts_with("audio/")
        || media_type.starts_with("video/")
        || media_type == "text/plain"
}

fn of_binary(head: &[u8]) -> Option<&'static str> {
    let brand = head.get(4..12);
    Some(match head {
        [b'%', b'P', b'D', b'F', b'-', ..] => "application/pdf",
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => "application/zip",
        [0x1F, 0x8B, 8, ..] => "application/gzip",
        [b'G', b'G', b'U', b'F', ..] => "application/x-gguf",
        [b'I', b'D', b'3', ..] | [0xFF, 0xFB, ..] | [0xFF, 0xF3, ..] => "audio/mpeg",
        [b'O', b'g', b'g', b'S', 0, ..] => "audio/ogg",
        [b'f', b'L', b'a', b'C', ..] => "audio/flac",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => "audio/wav",
        [0x1A, 0x45, 0xDF, 0xA3, ..] => "video/webm",
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => "image/bmp",
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => "image/tiff",
        _ if brand.is_some_and(|brand| brand.starts_with(b"ftyp")) => "video/mp4",
        _ => return None,
    })
}

/// The text that the bytes are; `None` if they are none. A character may be cut off at the end.
fn text_of(head: &[u8]) -> Option<&str> {
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}');
    (!text.contains(is_control)).then_some(text)
}

fn of_text(text: &str, name: &str) -> &'static str {
    let start = text.trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let begins = |tags: &[&str]| tags.iter().any(|tag| start.starts_with(tag));
    let has = |tags: &[&str]| tags.iter().any(|tag| start.contains(tag));
    if begins(&["<?xml"]) {
        return if has(&["<svg"]) { "image/svg+xml" } else { "application/xml" };
    }
    if begins(&["<svg"]) {
        return "image/svg+xml";
    }
    // The tags of the WHATWG's table, wherever they stand: a text before them doesn't stop a browser.
    let html = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<iframe",
        "<body",
        "<svg",
        "<style",
        "<title",
        "<img",
    ];
    if has(&html) {
        return "text/html";
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "json" => "application/json",
        "jsonl" | "ndjson" => "application/jsonl",
        "csv" => "text/csv",
        "md" | "markdown" => "text/markdown",
        "html" | "htm" | "xhtml" => "text/html",
        "svg" => "image/svg+xml",
        "xml" | "xsl" => "application/xml",
        "js" | "mjs" => "text/javascript",
        "css" => "text/css",
        _ => "text/plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_bytes_decide_before_the_name() {
        let cases: [(&[u8], &str, &str); 16] = [
            (b"\x89PNG\r\n\x1a\n....", "a.html", "image/png"),
            (b"%PDF-1.7\n", "a.txt", "application/pdf"),
            (b"PK\x03\x04....", "a.docx", "application/zip"),
            (b"ID3\x04", "a", "audio/mpeg"),
            (b"<html><script>alert(1)</script>", "cat.png", "text/html"),
            (b"\xef\xbb\xbf  <!DOCTYPE HTML>", "a.txt", "text/html"),
            (b"hello <script>alert(1)</script>", "a.txt", "text/html"),
            (b"<?xml version=\"1.0\"?><svg xmlns=\"x\"/>", "a.png", "image/svg+xml"),
            (b"<svg onload=\"alert(1)\"/>", "a.txt", "image/svg+xml"),
            (b"<?xml version=\"1.0\"?><a/>", "a", "application/xml"),
            (b"alert(1)", "a.JS", "text/javascript"),
            (b"{\"a\":1}\n{\"a\":2}\n", "train.jsonl", "application/jsonl"),
            (b"a,b\n1,2\n", "a.csv", "text/csv"),
            (b"Hello.", "a", "text/plain"),
            (b"\x00\x01\x02", "a.txt", "application/octet-stream"),
            (b"", "a", "text/plain"),
        ];
        for (bytes, name, media_type) in cases {
            assert_eq!(detect(bytes, name), media_type, "{name} {bytes:?}");
        }
        // A character that is cut off at the end of the head.
        let mut long = vec![b'x'; HEAD_MAX_BYTES - 1];
        long.extend("ä".bytes());
        assert_eq!(detect(&long, "a"), "text/plain");
    }

    #[test]
    fn types_that_a_browser_executes_are_not_inert() {
        for media_type in
            ["text/html", "image/svg+xml", "application/xml", "text/javascript", "application/pdf"]
        {
            assert!(!is_inert(media_type), "{media_type}");
        }
        for media_type in ["image/png", "audio/mpeg", "video/mp4", "text/plain"] {
            assert!(is_inert(media_type), "{media_type}");
        }
    }
}
