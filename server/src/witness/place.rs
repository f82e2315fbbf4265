//! The four kinds of witness: a folder, a bucket, a mailbox, another Custos. Each takes signed heads, once more if
//! need be, and says nothing before they are kept.

use super::config::{Bucket, To, secret};
use anyhow::{Context as _, anyhow, bail};
use custos_event::{
    LogId, Partition, Position, Seq, Timestamp,
    respond::{Action, MailText, Outcome, Phase},
};
use custos_evidence::{Checkpoint, hex};
use custos_respond::{
    effect::{Order, World},
    react::Key,
};
use custos_store::Store;
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, PutMode, PutPayload, aws::AmazonS3Builder,
    path::Path as Object,
};
use serde_json::{Value, json};
use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::Duration,
};
use ureq::http::StatusCode;

/// Longer than any of them needs; the next try comes by itself.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// A peer's answer is a line.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// What sending needs beside the heads.
#[derive(Clone)]
pub(super) struct With {
    pub(super) store: Store,
    pub(super) world: Arc<World>,
    pub(super) at: Timestamp,
}

/// Sends the heads, and returns when they are kept.
pub(super) async fn send(
    name: &str,
    to: &To,
    heads: Vec<Checkpoint>,
    with: With,
) -> anyhow::Result<()> {
    if let To::S3(bucket) = to {
        let put = put_objects(bucket, &heads);
        return tokio::time::timeout(SEND_WITHIN, put).await.context("it takes too long")?;
    }
    let (name, to) = (name.to_owned(), to.clone());
    let sent = tokio::task::spawn_blocking(move || match &to {
        To::Folder(path) => heads.iter().try_for_each(|head| append(path, head)),
        To::Mail(to) => mail(&name, to, &heads, &with),
        To::Custos(url) => heads.iter().try_for_each(|head| witness(url, head, &with.store)),
        To::S3(_) => Ok(()),
    });
    sent.await.context("sending was lost")?
}

/// One file a log, one note after the other: what `custos log verify --checkpoint` reads.
fn append(folder: &Path, head: &Checkpoint) -> anyhow::Result<()> {
    if !folder.is_dir() {
        bail!("there is no folder {}; is it mounted?", folder.display());
    }
    let path = folder.join(format!("{}.notes", head.origin.replace('/', ".")));
    let written = || {
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(head.note.as_bytes())?;
        file.sync_all()?;
        fs::File::open(folder)?.sync_all()
    };
    written().with_context(|| format!("cannot write {}", path.display()))
}

/// An object a note, created and never replaced: `PREFIX/custos-1f2e3d4c/telemetry/00000000000000000350.note`.
async fn put_objects(bucket: &Bucket, heads: &[Checkpoint]) -> anyhow::Result<()> {
    let rest = bucket.url.strip_prefix("s3://").unwrap_or_default();
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(name)
        .with_access_key_id(&bucket.access_key_id)
        .with_secret_access_key(secret(&bucket.secret_key_file)?)
        .with_region(bucket.region.as_deref().unwrap_or("us-east-1"));
    if let Some(endpoint) = &bucket.endpoint {
        builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
    }
    let store = builder.build().context("the bucket's address does not hold")?;
    for head in heads {
        let object = Object::from(format!("{prefix}/{}/{:020}.note", head.origin, head.size));
        let note = PutPayload::from(head.note.clone().into_bytes());
        match store.put_opts(&object, note, PutMode::Create.into()).await {
            Ok(_) => {}
            // Sent before, and the word of it was lost: it must be the same.
            Err(object_store::Error::AlreadyExists { .. }) => {
                let there = store.get(&object).await?.bytes().await?;
                if there != head.note.as_bytes() {
                    bail!("{object} in the bucket is another note");
                }
            }
            Err(error) => return Err(error).with_context(|| format!("cannot put {object}")),
        }
    }
    Ok(())
}

/// The notes alone are the text: saved as it is, it is what `custos log verify --checkpoint` reads.
fn mail(name: &str, to: &[String], heads: &[Checkpoint], with: &With) -> anyhow::Result<()> {
    let Some(first) = heads.first() else { return Ok(()) };
    let node = first.origin.split('/').next().unwrap_or_default();
    let sizes: Vec<_> = heads.iter().map(|head| format!("{} {}", head.log(), head.size)).collect();
    let notes: Vec<_> = heads.iter().map(|head| head.note.as_str()).collect();
    let action = Action::Email(MailText {
        to: to.to_vec(),
        customer: None,
        subject: format!("Custos checkpoints of {node}: {}", sizes.join(", ")),
        text: notes.join("\n"),
    });
    let total = heads.iter().map(|head| head.size).sum();
    let intent = Position { log: LogId::JOURNAL, partition: Partition(0), seq: Seq(total) };
    let key = Key { of: format!("witness/{name}"), intent };
    let (timeout, at) = (SEND_WITHIN, with.at);
    let order =
        Order { action: &action, phase: Phase::Act, key: &key, timeout, at, customer: None };
    let answer = with.world.perform(order);
    match answer.outcome {
        Outcome::Done | Outcome::AlreadySo => Ok(()),
        Outcome::Failed | Outcome::Unknown => Err(anyhow!(answer.detail)),
    }
}

/// Another Custos: it says which head it has, and is shown that this one continues it.
fn witness(url: &str, head: &Checkpoint, store: &Store) -> anyhow::Result<()> {
    let mut old = 0;
    // The first answer tells the size to prove from; another writer may have come between once.
    for _ in 0..3 {
        let path = prove(store, head, old)?;
        let (status, answer) = post(url, head, old, &path)?;
        if status.is_success() {
            return Ok(());
        }
        let detail = answer["detail"].as_str().unwrap_or("no reason").to_owned();
        let now = &answer["now"];
        match now["size"].as_u64() {
            Some(size)
                if status == StatusCode::CONFLICT
                    && now["refused"] == false
                    && size <= head.size =>
            {
                old = size;
            }
            _ => bail!("{url} answered {}: {detail}", status.as_u16()),
        }
    }
    bail!("{url} names another size each time")
}

fn prove(store: &Store, head: &Checkpoint, old: u64) -> anyhow::Result<Vec<String>> {
    let (log, partition) = head.log().split_once('/').unwrap_or((head.log(), "0"));
    let (log, partition) = (log.parse()?, Partition(partition.parse()?));
    let mut prover = store.prover(log, partition)?.context("the log has gone")?;
    let path = prover.consistency(old, head.size)?;
    Ok(path.iter().map(|hash| hex(hash)).collect())
}

fn post(
    url: &str,
    head: &Checkpoint,
    old: u64,
    path: &[String],
) -> anyhow::Result<(StatusCode, Value)> {
    let body = json!({"note": head.note, "old": old, "path": path}).to_string();
    let sent = ureq::post(format!("{url}/api/v1/witness/checkpoints"))
        .header("content-type", "application/json")
        // Changes are taken from the server's own pages only; this is no page, and says the server's name.
        .header("origin", url)
        .config()
        .http_status_as_error(false)
        .timeout_global(Some(SEND_WITHIN))
        .max_redirects(0)
        .build()
        .send(body);
    let mut answer = sent.with_context(|| format!("cannot reach {url}"))?;
    let text = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_string()?;
    Ok((answer.status(), serde_json::from_str(&text).unwrap_or_default()))
}
