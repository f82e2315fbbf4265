//! Reading against a peer that holds rows and a store that fails as told: each row once, whatever happens in between.

use super::{
    ContactFields, ContactsConfig, Health, Peer, PullConfig, Puller, System, WebConfig, ZohoConfig,
    part::{Part, Reading},
    place::{Row, Window},
    trouble::Trouble,
    turn::Turn,
};
use crate::{
    gate::Gate,
    stand_in::{Fate, StandIn, clock, decoders},
};
use custos_event::{Clock as _, Private, Timestamp, time::ManualClock};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// The clock of tests stands here.
const NOW: i64 = 1_764_000_000;

/// Gives rows of seconds; more than `rows_max` at once are too many.
#[derive(Clone, Default)]
struct Book {
    rows: Vec<(i64, String)>,
    rows_max: usize,
    asked: Vec<Window>,
    troubles: Vec<Trouble>,
    /// Goes on by ten minutes with each question.
    clock: Arc<ManualClock>,
}

impl Peer for Book {
    fn system(&self) -> &'static str {
        "zoho"
    }

    fn streams(&self) -> Vec<String> {
        vec!["audit".into()]
    }

    fn rows(&mut self, _: &str, window: Window, _: &Turn<'_>) -> Result<Vec<Row>, Trouble> {
        self.give(window)
    }

    fn contacts(
        &mut self,
        config: &ContactsConfig,
        window: Window,
        _: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        assert_eq!(config.object, "Contacts");
        self.give(window)
    }
}

impl Book {
    fn give(&mut self, window: Window) -> Result<Vec<Row>, Trouble> {
        self.asked.push(window);
        self.clock.set(self.clock.now().plus_secs(600));
        if let Some(trouble) = self.troubles.pop() {
            return Err(trouble);
        }
        // Another order each time.
        let turned = self.rows.iter().cycle().skip(self.asked.len() % self.rows.len().max(1));
        let mine = turned.take(self.rows.len()).filter(|(second, _)| window.has(*second));
        let row = |(second, text): &(i64, String)| Row {
            second: *second,
            identity: text.clone().into_bytes(),
            json: text.clone().into(),
        };
        let rows: Vec<_> = mine.map(row).collect();
        if rows.len() > self.rows_max {
            return Err(Trouble::TooLarge(format!("more than {} rows", self.rows_max)));
        }
        Ok(rows)
    }
}

fn book(seconds: impl IntoIterator<Item = i64>) -> Book {
    let rows = seconds.into_iter().enumerate().map(|(nth, second)| (second, format!("row {nth}")));
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    Book { rows: rows.collect(), rows_max: 100_000, clock, ..Book::default() }
}

fn puller(intake: &Arc<StandIn>) -> Puller<StandIn> {
    let zoho = ZohoConfig {
        accounts: "https://accounts.zoho.eu".into(),
        client_id: "id".into(),
        client_secret: Private::new("secret".into()),
        refresh_token: Private::new("refresh".into()),
    };
    let config = PullConfig {
        name: "zoho".into(),
        system: System::Zoho(zoho),
        interval: Duration::from_secs(1),
        lag_secs: 60,
        since: None,
        networks: Vec::new(),
        contacts: Some(ContactsConfig {
            every: Duration::from_hours(1),
            object: "Contacts".into(),
            fields: ContactFields::zoho(),
        }),
    };
    let web = WebConfig { agent: ureq::Agent::config_builder().build(), not_outside: |_| None };
    let gate = Gate::new(Arc::clone(intake), decoders(), clock());
    Puller::new(config, gate, Arc::new(Health::default()), &web)
}

/// One round of the log as a process just begun has it.
fn round(intake: &Arc<StandIn>, book: &mut Book) -> (Result<(), Trouble>, Vec<Reading>) {
    round_of(intake, book, 0)
}

/// Of the log, 0, or of the contacts, 1.
fn round_of(
    intake: &Arc<StandIn>,
    book: &mut Book,
    nth: usize,
) -> (Result<(), Trouble>, Vec<Reading>) {
    let puller = puller(intake);
    let clock = Arc::new(ManualClock::at(Timestamp::from_secs(NOW)));
    book.clock = Arc::clone(&clock);
    let stop = CancellationToken::new();
    let turn = Turn { web: &puller.web, clock: &*clock, stop: &stop };
    let mut part: Part = puller.parts(book, turn.now()).remove(nth);
    let done = puller.round(book, &mut part, &turn);
    (done, part.streams)
}

fn stored(intake: &StandIn) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    intake.look(|disk| {
        for event in &disk.events {
            assert!(event.header.source.starts_with("crm:zoho"), "{}", event.header.source);
            *counts.entry(event.raw_text().into_owned()).or_default() += 1;
        }
    });
    counts
}

fn each_once(book: &Book) -> BTreeMap<String, usize> {
    book.rows.iter().map(|(_, text)| (text.clone(), 1)).collect()
}

#[test]
fn every_row_is_stored_once_over_kills_between_sync_and_answer_and_a_full_disk() {
    // 20,000 rows in three seconds: several appends, all of them cut within a second.
    let mut book = book((0..20_000).map(|n| NOW - 1_000 + n % 3));
    let mut intake = StandIn::with_fates([Fate::StoreAndFail, Fate::Store]);
    let (failed, _) = round(&intake, &mut book);
    assert!(matches!(failed, Err(Trouble::Failed(_))), "{failed:?}");
    let first = intake.look(|disk| disk.events.len());
    assert!(first > 0 && first < 20_000);
    intake = intake.restarted();
    round(&intake, &mut book).0.unwrap();
    intake = intake.restarted();
    round(&intake, &mut book).0.unwrap();
    assert_eq!(stored(&intake), each_once(&book));
    let paused = StandIn::with_fates([Fate::Store, Fate::Pause]);
    assert!(matches!(round(&paused, &mut book).0, Err(Trouble::Paused(_))));
    round(&paused, &mut book).0.unwrap();
    assert_eq!(stored(&paused), each_once(&book));
}

#[test]
fn a_stretch_with_more_than_can_be_held_is_halved_until_it_can() {
    let mut book = book((0..500).map(|n| NOW - 90_000 + n * 100));
    book.rows_max = 40;
    let intake = StandIn::new();
    round(&intake, &mut book).0.unwrap();
    assert_eq!(stored(&intake), each_once(&book));
    assert!(book.asked.iter().any(|window| window.seconds() == 86_400));
    let mut flood = super::tests::book((0..50).map(|_| NOW - 500));
    flood.rows_max = 40;
    let intake = StandIn::new();
    let (odd, streams) = round(&intake, &mut flood);
    assert!(matches!(&odd, Err(Trouble::Odd(why)) if why.contains("single second")), "{odd:?}");
    assert_eq!(streams[0].from, NOW - 500);
}

#[test]
fn what_is_too_fresh_waits_and_what_failed_is_asked_for_again() {
    let mut book = book([NOW - 61, NOW - 60, NOW - 5]);
    book.troubles = vec![Trouble::Unreachable("no answer".into())];
    let intake = StandIn::new();
    assert!(round(&intake, &mut book).0.is_err());
    let (done, streams) = round(&intake, &mut book);
    done.unwrap();
    assert_eq!(stored(&intake).into_keys().collect::<Vec<_>>(), ["row 0"]);
    assert_eq!(streams[0].from, NOW - 60);
    assert_eq!(book.asked[0].from, NOW - 7 * 86_400);
    // The next process goes on at the second of the last row.
    let last = intake.restarted();
    assert_eq!(round(&last, &mut book).1[0].from, NOW - 60);
    assert_eq!(book.asked.last().unwrap().from, NOW - 61);
}

#[test]
fn a_round_ends_where_it_began_however_long_it_asks() {
    let mut book = book([NOW - 3 * 86_400, NOW + 60]);
    let intake = StandIn::new();
    let (done, streams) = round(&intake, &mut book);
    done.unwrap();
    assert_eq!((streams[0].from, book.asked.len()), (NOW - 60, 7));
    assert_eq!(stored(&intake).len(), 1);
}

#[test]
fn contacts_are_read_from_the_beginning_as_a_source_and_with_a_place_of_their_own() {
    // Two decades, and more than can be held at once.
    let mut book = book((0..500).map(|n| NOW - 700_000_000 + n * 1_400_000));
    book.rows_max = 40;
    let mut intake = StandIn::with_fates([Fate::Store, Fate::StoreAndFail]);
    assert!(round_of(&intake, &mut book, 1).0.is_err());
    intake = intake.restarted();
    assert_eq!(round_of(&intake, &mut book, 1).1[0].from, NOW - 60);
    let both = |intake: &StandIn| {
        intake.look(|disk| {
            let topic = |range: &custos_event::SourceRange| range.topic.clone();
            let source = |event: &custos_event::ParsedEvent| event.header.source.to_string();
            let mut sources: Vec<_> = disk.events.iter().map(source).collect();
            sources.dedup();
            (disk.sources.iter().map(topic).collect::<Vec<_>>(), sources)
        })
    };
    assert_eq!(stored(&intake), each_once(&book));
    assert_eq!(
        both(&intake),
        (vec!["zoho-contacts/Contacts/id".into()], vec!["crm:zoho-contacts".into()])
    );
    // The log beside it knows nothing of that.
    assert_eq!(round(&intake, &mut super::tests::book([])).1[0].stored, None);
}

#[test]
fn the_part_that_is_due_first_is_read_first_and_a_clock_that_was_set_back_holds_nobody_up() {
    let intake = StandIn::new();
    let now = Timestamp::from_secs(NOW);
    let mut parts = puller(&intake).parts(&book([]), now);
    let (log, contacts) = parts.split_at_mut(1);
    assert_eq!((log[0].rest(now), contacts[0].rest(now)), (Duration::ZERO, Duration::ZERO));
    log[0].rest_for(log[0].every, now);
    contacts[0].rest_for(contacts[0].every, now);
    assert!(log[0].due < contacts[0].due);
    assert_eq!(contacts[0].rest(now.plus_secs(600)), Duration::from_mins(50));
    assert_eq!(contacts[0].rest(now.plus_secs(-86_400)), Duration::from_hours(1));
}
