//! The bytes of a file: ranges, conditions, and headers that keep a browser from executing it.

use hearth_tests::{Client, Home};
use reqwest::Method;

use crate::{content, id_of, stored};

#[tokio::test]
async fn ranges_are_answered_as_rfc_9110_says() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let file = stored(&client, "digits.txt", b"0123456789").await;
    let id = id_of(&file);
    let whole = content(&client, id, &[]).await;
    assert_eq!((whole.header("accept-ranges"), whole.header("content-length")), ("bytes", "10"));
    let etag = whole.header("etag").to_owned();
    for (range, part, content_range) in [
        ("bytes=2-5", "2345", "bytes 2-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=0-99", "0123456789", "bytes 0-9/10"),
    ] {
        let answer = content(&client, id, &[("range", range), ("if-range", &etag)]).await;
        assert_eq!((answer.status.as_u16(), &answer.body[..]), (206, part.as_bytes()), "{range}");
        assert_eq!(answer.header("content-range"), content_range);
        assert_eq!(answer.header("content-length"), part.len().to_string());
    }
    // Several ranges, an unreadable one, and one of another file get the whole.
    for headers in [
        &[("range", "bytes=0-1,4-5")][..],
        &[("range", "bytes=x-y")],
        &[("range", "lines=0-1")],
        &[("range", "bytes=2-5"), ("if-range", "\"other\"")],
    ] {
        let answer = content(&client, id, headers).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 10), "{headers:?}");
    }
    for range in ["bytes=10-", "bytes=99-100", "bytes=-0"] {
        let answer = content(&client, id, &[("range", range)]).await;
        assert_eq!(answer.header("content-range"), "bytes */10", "{range}");
        answer.error(416, "invalid_request");
    }
    let unchanged = content(&client, id, &[("if-none-match", &etag)]).await;
    assert_eq!((unchanged.status.as_u16(), unchanged.body.len()), (304, 0));
    let head = client.send(client.request(Method::HEAD, &format!("/v1/files/{id}/content"))).await;
    assert_eq!((head.status.as_u16(), head.header("content-length"), head.body.len()), (200, "10", 0));
    home.stop().await;
}

async fn head_of(client: &Client, name: &str, bytes: &[u8]) -> (String, String) {
    let file = stored(client, name, bytes).await;
    let answer = content(client, id_of(&file), &[]).await;
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{name}");
    assert_eq!(answer.header("content-security-policy"), "default-src 'none'; sandbox", "{name}");
    assert_eq!(answer.body, bytes);
    (answer.header("content-type").to_owned(), answer.header("content-disposition").to_owned())
}

#[tokio::test]
async fn browser_never_executes_a_file() {
    let home = Home::start_without_node().await;
    let client = home.client();
    let script: &[u8] = b"<html><script>alert(document.cookie)</script></html>";
    // The type is that of the bytes, whatever the name says.
    for (name, bytes, media_type) in [
        ("page.html", script, "text/html"),
        ("cat.png", script, "text/html"),
        ("readme.txt", b"hello <script>alert(1)</script>", "text/html"),
        ("logo.svg", b"<svg onload=\"alert(1)\"/>", "image/svg+xml"),
        ("logo.png", b"<?xml version=\"1.0\"?><svg/>", "image/svg+xml"),
        ("a.xml", b"<?xml version=\"1.0\"?><a/>", "application/xml"),
        ("a.js", b"alert(1)", "text/javascript"),
        ("a.pdf", b"%PDF-1.7\n", "application/pdf"),
        ("a.txt", b"\x00\x01\x02", "application/octet-stream"),
    ] {
        let (media, disposition) = head_of(&client, name, bytes).await;
        assert_eq!(media, media_type, "{name}");
        assert_eq!(disposition, format!("attachment; filename=\"{name}\""));
    }
    for (name, bytes, media_type) in
        [("a.html", &b"\x89PNG\r\n\x1a\n...."[..], "image/png"), ("a", b"Hello.", "text/plain")]
    {
        let (media, disposition) = head_of(&client, name, bytes).await;
        assert_eq!((media.as_str(), disposition), (media_type, format!("inline; filename=\"{name}\"")));
    }
    let (_, disposition) = head_of(&client, "\u{fc}ber %22 den.bin", b"\x00").await;
    assert_eq!(
        disposition,
        "attachment; filename=\"_ber _22 den.bin\"; filename*=UTF-8''%C3%BCber%20%2522%20den.bin"
    );
    home.stop().await;
}
