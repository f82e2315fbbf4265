//! A collection of a TAXII 2.1 server, read whole: page after page, as one STIX bundle.

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use custos_respond::effect::agent_config;
use serde_json::{Value, json};
use std::{fs, path::PathBuf, time::Duration};
use ureq::Agent;

const MEDIA_TYPE: &str = "application/taxii+json;version=2.1";
/// A list holds 200,000 values at most; servers give a hundred to some thousand objects a page.
const PAGES_MAX: usize = 2_000;
const OBJECTS_MAX: usize = 200_000;
/// What is asked for; servers give what they want to. Some fail on a later page where none was asked for.
const PAGE_OBJECTS: &str = "1000";
const PAGE_BYTES_MAX: u64 = 64 << 20;
const PAGE_WITHIN: Duration = Duration::from_mins(1);

/// How to ask a TAXII server.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Taxii {
    /// A collection of a TAXII 2.1 server instead of a file, as in <https://host/api1/collections/91a7b528-…/>.
    #[arg(id = "taxii", long = "taxii", value_name = "URL")]
    collection: Option<String>,
    /// Who asks, with --password-file.
    #[arg(long, value_name = "NAME", requires = "password_file", requires = "taxii")]
    user: Option<String>,
    /// A file that holds the password, or, without --user, a bearer token.
    #[arg(long, value_name = "FILE", requires = "taxii")]
    password_file: Option<PathBuf>,
    /// Only what came to the collection after this time (RFC 3339).
    #[arg(long, value_name = "TIME", requires = "taxii")]
    added_after: Option<custos_event::Timestamp>,
}

impl Taxii {
    /// The collection, if one was named.
    pub(super) fn url(&self) -> Option<&str> {
        self.collection.as_deref()
    }

    /// All objects of the collection as a bundle.
    pub(super) fn bundle(&self, url: &str) -> anyhow::Result<String> {
        let is_https = url.starts_with("https://");
        let config = agent_config(is_https).map_err(anyhow::Error::msg)?;
        let agent = Agent::from(config);
        let authorization = self.authorization()?;
        let (mut objects, mut next) = (Vec::new(), None::<String>);
        for _ in 0..PAGES_MAX {
            let page = self.page(&agent, url, next.as_deref(), authorization.as_deref())?;
            if let Some(Value::Array(more)) = page.get("objects") {
                objects.extend(more.iter().cloned());
            }
            ensure!(
                objects.len() <= OBJECTS_MAX,
                "the collection has more than {OBJECTS_MAX} objects; ask for less with --added-after"
            );
            if page["more"] != true {
                return Ok(json!({"type": "bundle", "objects": objects}).to_string());
            }
            // Some servers name the same place for each page that follows.
            next = page["next"].as_str().map(str::to_owned);
            ensure!(next.is_some(), "the server says that there is more, and not where");
        }
        bail!("the collection has more than {PAGES_MAX} pages; ask for less with --added-after");
    }

    fn page(
        &self,
        agent: &Agent,
        url: &str,
        next: Option<&str>,
        authorization: Option<&str>,
    ) -> anyhow::Result<Value> {
        let objects = format!("{}/objects/", url.trim_end_matches('/'));
        let mut request = agent
            .get(&objects)
            .config()
            .timeout_global(Some(PAGE_WITHIN))
            .build()
            .header("Accept", MEDIA_TYPE)
            .query("limit", PAGE_OBJECTS);
        if let Some(after) = self.added_after {
            request = request.query("added_after", after.to_string());
        }
        if let Some(next) = next {
            request = request.query("next", next);
        }
        if let Some(value) = authorization {
            request = request.header("Authorization", value);
        }
        let mut answer = request.call().with_context(|| format!("cannot reach {objects}"))?;
        let status = answer.status().as_u16();
        let text = answer.body_mut().with_config().limit(PAGE_BYTES_MAX).read_to_string()?;
        ensure!(status == 200, "{objects} answered {status}: {}", short(&text));
        serde_json::from_str(&text).with_context(|| format!("{objects} answered no JSON"))
    }

    fn authorization(&self) -> anyhow::Result<Option<String>> {
        use base64::{Engine as _, engine::general_purpose::STANDARD};
        let Some(file) = &self.password_file else { return Ok(None) };
        let secret = fs::read_to_string(file)
            .with_context(|| format!("cannot read --password-file {}", file.display()))?;
        let secret = secret.trim_end_matches(['\r', '\n']);
        Ok(Some(match &self.user {
            Some(user) => format!("Basic {}", STANDARD.encode(format!("{user}:{secret}"))),
            None => format!("Bearer {secret}"),
        }))
    }
}

/// What a server says of a refusal, in one line.
fn short(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()
}
