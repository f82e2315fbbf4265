//! The web console as it was built, inside the binary: its page, and the files that the page loads.
//!
//! Knows nothing of HTTP but what a browser has to be told of a file. The server serves it.

use rust_embed::{EmbeddedFile, RustEmbed};
use std::borrow::Cow;

#[derive(RustEmbed)]
#[folder = "web/dist/"]
#[exclude = ".sources"]
struct Files;

/// Stands in the built page where each answer puts its own nonce.
const NONCE: &str = "__CSP_NONCE__";
const PAGE: &str = "index.html";

/// A file of the console.
pub struct Asset {
    pub bytes: Cow<'static, [u8]>,
    pub content_type: &'static str,
    /// Whether `bytes` are gzip of the file.
    pub gzip: bool,
    /// Strong, in its quotes.
    pub etag: String,
    /// Its name holds a digest of its content: it never changes.
    pub immutable: bool,
}

/// The page that every address of the console shows, for one answer with this nonce; `None` only if the
/// build left none, which a test of this crate rules out.
pub fn page(nonce: &str) -> Option<String> {
    let file = Files::get(PAGE)?;
    Some(std::str::from_utf8(&file.data).ok()?.replace(NONCE, nonce))
}

/// The file of a path without its leading slash: `assets/index-….js`. The page is not one: see [`page`].
pub fn asset(path: &str, accepts_gzip: bool) -> Option<Asset> {
    if path == PAGE {
        return None;
    }
    let content_type = content_type(path)?;
    let packed = accepts_gzip.then(|| Files::get(&format!("{path}.gz"))).flatten();
    let gzip = packed.is_some();
    let EmbeddedFile { data, metadata } = packed.or_else(|| Files::get(path))?;
    let etag = format!("\"{:x}\"", u128::from_be_bytes(*metadata.sha256_hash().first_chunk()?));
    Some(Asset { bytes: data, content_type, gzip, etag, immutable: path.starts_with("assets/") })
}

fn content_type(path: &str) -> Option<&'static str> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the page loads by itself.
    fn named(page: &str) -> Vec<&str> {
        let parts = page.split('"').filter_map(|part| part.strip_prefix('/'));
        parts.filter(|part| part.starts_with("assets/")).collect()
    }

    #[test]
    fn the_page_carries_the_nonce_and_every_file_it_names_is_there() {
        let page = page("n0nce").unwrap();
        assert!(page.contains(r#"name="csp-nonce" content="n0nce""#), "{page}");
        assert!(!page.contains(NONCE));
        let named = named(&page);
        assert!(named.iter().any(|path| content_type(path) == content_type(".js")), "{page}");
        assert!(named.iter().any(|path| content_type(path) == content_type(".css")), "{page}");
        for path in named {
            assert!(asset(path, false).is_some_and(|asset| asset.immutable), "{path}");
        }
    }

    #[test]
    fn the_page_holds_no_inline_script_or_style() {
        let page = page("n").unwrap().to_lowercase();
        for script in page.split("<script").skip(1) {
            assert!(script.split('>').next().unwrap().contains("src="), "{page}");
            assert!(script.split('>').nth(1).unwrap().starts_with("</script"), "{page}");
        }
        assert!(!page.contains("<style") && !page.contains("style=") && !page.contains(" on"));
    }

    #[test]
    fn gzip_is_given_to_who_takes_it_and_has_its_own_etag() {
        let page = page("n").unwrap();
        let path = named(&page)[0];
        let (plain, packed) = (asset(path, false).unwrap(), asset(path, true).unwrap());
        assert!(packed.gzip && !plain.gzip);
        assert!(packed.bytes.len() < plain.bytes.len() / 2);
        assert_ne!(packed.etag, plain.etag);
    }

    #[test]
    fn nothing_else_is_a_file() {
        for path in ["index.html", ".sources", "", "assets", "../Cargo.toml", "mark.svg.gz"] {
            assert!(asset(path, true).is_none(), "{path}");
        }
        assert!(asset("mark.svg", true).is_some());
    }
}
