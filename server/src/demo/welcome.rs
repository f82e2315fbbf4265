//! What a person is told when the demo is ready.

use super::{place::Place, shipping::Shipping, stand_in::StandIns};
use crate::serve::Started;

pub(super) fn say(
    started: &Started,
    place: &Place,
    stand_ins: &StandIns,
    seed: u64,
    shipping: &Shipping,
) {
    let folder = place.path().display();
    let address = |address: Option<std::net::SocketAddr>| {
        address.map_or_else(|| "-".to_owned(), |address| address.to_string())
    };
    let (http, kafka) = (address(started.http), address(started.listener));
    eprintln!("\nCustos demo: a day at a payments company, seed {seed}");
    match &started.setup {
        Some(link) => eprintln!("  console    {link} (once: makes your account)"),
        None => eprintln!("  console    http://{http}/"),
    }
    eprintln!("  alerts     custos alerts --server http://{http} --data {folder}/data");
    eprintln!(
        "  search     custos search --server http://{http} --data {folder}/data 'event.outcome:failure'"
    );
    eprintln!("  ship to    {kafka} with any Kafka producer, e.g. into the topic auth");
    for (name, address) in stand_ins.addresses() {
        eprintln!(
            "  {name:<10} http://{address}/, a stand-in; what it did: {folder}/stand-ins/{name}.jsonl"
        );
    }
    eprintln!("  mail       {folder}/outbox");
    if place.is_temporary() {
        eprintln!("  data       {folder}, removed at the end; to keep it: custos demo --keep DIR");
    } else {
        eprintln!("  data       {folder}, kept");
    }
    match shipping.day() {
        Some((events, secs)) => eprintln!(
            "{events} events with six attacks among them arrive within {secs:.0} s. Ctrl-C ends the demo.\n"
        ),
        None => eprintln!(
            "This folder has had its day already; ordinary traffic goes on. Ctrl-C ends the demo.\n"
        ),
    }
}
