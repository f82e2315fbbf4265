//! What to copy into each shipper: the blocks of docs/sources/, so that the console shows what the tests have run.

/// One page: a family of shippers and the intake they need.
pub(crate) struct Page {
    pub(crate) title: &'static str,
    /// Of the intake that takes it, as the configuration writes it.
    pub(crate) protocol: &'static str,
    /// The block for Custos' own configuration.
    pub(crate) config: &'static str,
    pub(crate) snippets: Vec<Snippet>,
}

pub(crate) struct Snippet {
    pub(crate) shipper: &'static str,
    pub(crate) text: &'static str,
}

/// The protocol of each page's intake, and the page.
const PAGES: [(&str, &str); 13] = [
    ("syslog", include_str!("../../docs/sources/syslog.md")),
    ("kafka", include_str!("../../docs/sources/kafka.md")),
    ("kafka", include_str!("../../docs/sources/kafka-secured.md")),
    ("http", include_str!("../../docs/sources/elasticsearch.md")),
    ("http", include_str!("../../docs/sources/splunk.md")),
    ("http", include_str!("../../docs/sources/otlp.md")),
    ("gelf", include_str!("../../docs/sources/gelf.md")),
    ("http", include_str!("../../docs/sources/gelf-http.md")),
    ("fluent", include_str!("../../docs/sources/fluent.md")),
    ("beats", include_str!("../../docs/sources/beats.md")),
    ("http", include_str!("../../docs/sources/webhook.md")),
    // Asked by Custos itself.
    ("crm", include_str!("../../docs/sources/zoho-crm.md")),
    ("crm", include_str!("../../docs/sources/fxiaoke.md")),
];

/// The heading of the block for Custos' own configuration.
const CONFIG: &str = "Custos";

pub(crate) fn pages() -> Vec<Page> {
    PAGES.iter().map(|(protocol, text)| page(protocol, text)).collect()
}

fn page(protocol: &'static str, text: &'static str) -> Page {
    let title = text.lines().next().unwrap_or_default().trim_start_matches("# ");
    let mut page = Page { title, protocol, config: "", snippets: Vec::new() };
    for section in text.split("\n## ").skip(1) {
        let Some((heading, below)) = section.split_once('\n') else { continue };
        let Some(text) = block(below) else { continue };
        if heading == CONFIG {
            page.config = text;
        } else {
            page.snippets.push(Snippet { shipper: heading, text });
        }
    }
    page
}

/// What stands between the first fences.
fn block(below: &'static str) -> Option<&'static str> {
    let (_, block) = below.split_once("```")?;
    let (_, block) = block.split_once('\n')?;
    Some(block.split_once("\n```")?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_has_a_title_a_configuration_that_holds_and_something_to_copy() {
        for page in pages() {
            assert!(!page.title.is_empty() && !page.title.contains('#'));
            assert!(!page.snippets.is_empty(), "{}", page.title);
            let config = page.config.replace("SHA256-OF-TOKEN", &"0".repeat(64));
            let read = crate::config::Config::parse(&config, std::path::Path::new("/etc/custos"));
            assert!(read.is_ok(), "{}: {:#}", page.title, read.unwrap_err());
        }
        let syslog = &pages()[0];
        assert_eq!(syslog.title, "Syslog");
        assert!(syslog.snippets[0].text.starts_with("# /etc/rsyslog.d/60-custos.conf"));
    }
}
