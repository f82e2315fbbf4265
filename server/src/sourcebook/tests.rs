//! Sources that are made, renewed and closed, and a start after each.

use super::*;
use crate::{clock::SystemClock, folder::Folder};

pub(super) fn ada() -> Actor {
    Actor::User { name: "ada".into() }
}

/// What `with` does on a store that is then gone.
pub(super) fn run<T>(
    dir: &tempfile::TempDir,
    taken: &[&str],
    with: impl FnOnce(&SourceBook) -> T,
) -> T {
    let taken = taken.iter().map(|name| (*name).to_owned()).collect();
    run_with(dir, (taken, ByTopic::default()), with)
}

/// The same where these topics are read from Kafka.
pub(super) fn run_reading<T>(
    dir: &tempfile::TempDir,
    topics: &[&str],
    with: impl FnOnce(&SourceBook) -> T,
) -> T {
    let mut read = ByTopic::default();
    for topic in topics {
        assert!(read.add(topic, ()).unwrap());
    }
    run_with(dir, (BTreeSet::new(), read), with)
}

fn run_with<T>(
    dir: &tempfile::TempDir,
    names: (BTreeSet<String>, ByTopic<()>),
    with: impl FnOnce(&SourceBook) -> T,
) -> T {
    let opened = Folder::chosen(Some(dir.path().into())).open(true).unwrap();
    let journal = opened.journal().unwrap();
    let of = (&opened.store, &journal);
    let mappings = Arc::default();
    let book = SourceBook::open(of, &mappings, names, Arc::new(SystemClock)).unwrap();
    let done = with(&book);
    opened.store.close().unwrap();
    done
}

/// The digests that ports take, as far as they are known here.
fn digest(book: &SourceBook, name: &str) -> Option<Digest> {
    book.list()[name].token
}

#[test]
fn a_source_is_made_renewed_and_closed_and_a_start_knows_it() {
    let dir = tempfile::tempdir().unwrap();
    let token = run(&dir, &[], |book| book.make(&ada(), "web", "apache").unwrap());
    run(&dir, &[], |book| {
        assert_eq!(digest(book, "web"), Some(secret::digest(token.reveal())));
        assert_eq!(book.source_type("web"), Some(SourceType::Apache));
        assert_eq!(book.list()["web"].by, ada());
        assert_eq!(format!("{:?}", book.tokens()), "TokenBook(1)");
        let renewed = book.renew(&ada(), "web").unwrap();
        assert_ne!(renewed.reveal(), token.reveal());
        assert_eq!(digest(book, "web"), Some(secret::digest(renewed.reveal())));
    });
    run(&dir, &[], |book| {
        book.close(&ada(), "web", " the shop moved ").unwrap();
        assert_eq!(format!("{:?}", book.tokens()), "TokenBook(0)");
    });
    run(&dir, &[], |book| {
        let made = &book.list()["web"];
        assert!(!made.is_open() && made.reason.as_deref() == Some("the shop moved"));
        assert_eq!(format!("{:?}", book.tokens()), "TokenBook(0)");
        book.make(&ada(), "web", "auto").unwrap();
        assert_eq!(book.source_type("web"), Some(SourceType::Auto));
    });
}

#[test]
fn what_cannot_be_says_why_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir, &["edge"], |book| {
        let told = |done: Result<Private<String>, BookError>| done.unwrap_err().to_string();
        assert!(told(book.make(&ada(), "a b", "auto")).contains("'a b' is no name of a source"));
        assert!(told(book.make(&ada(), "edge", "auto")).contains("the configuration has"));
        assert!(told(book.make(&ada(), "web", "apach")).contains("apache"));
        assert!(told(book.renew(&ada(), "web")).contains("no source 'web' was made here"));
        book.make(&ada(), "web", "auto").unwrap();
        assert!(told(book.make(&ada(), "web", "auto")).contains("give it a new token instead"));
        let close = |reason| book.close(&ada(), "web", reason);
        assert!(matches!(close(" "), Err(BookError::Reason)));
        close("done").unwrap();
        assert!(matches!(close("done"), Err(BookError::Closed(_))));
        assert!(told(book.renew(&ada(), "web")).contains("make it anew"));
        assert_eq!(book.list().len(), 1);
    });
}

/// A name that the configuration takes later is the configuration's.
#[test]
fn the_configuration_has_the_last_word_on_a_name() {
    let dir = tempfile::tempdir().unwrap();
    run(&dir, &[], |book| drop(book.make(&ada(), "web", "auto").unwrap()));
    run(&dir, &["web"], |book| assert_eq!(format!("{:?}", book.tokens()), "TokenBook(0)"));
}
