//! `custos demo`: a server in a folder of its own, stand-ins for the systems that it acts on, and a written day
//! shipped to it.

mod place;
mod shipping;
mod stand_in;
mod welcome;

use crate::{
    clock::SystemClock,
    config::Config,
    exit::{CommandResult, Failure},
    serve::{self, Started},
    ship::Shipper,
    tasks::Tasks,
};
use anyhow::{Context as _, anyhow};
use custos_event::Clock as _;
use custos_scenario::Day;
use place::Place;
use shipping::Shipping;
use stand_in::StandIns;
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
};

/// What was asked for.
pub(crate) struct Demo {
    pub(crate) speed: f64,
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) keep: Option<PathBuf>,
    pub(crate) seed: Option<u64>,
}

/// The day at speed 1; two thirds of it, with all attacks, in 40 s.
const DAY_SECS: f64 = 60.0;

pub(crate) fn run(demo: Demo) -> CommandResult {
    let seed = demo.seed.map_or_else(any_seed, Ok)?;
    let place = Place::open(demo.keep)?;
    let stand_ins = StandIns::bind(&place)?;
    let listen = demo.listen.unwrap_or_else(usual_address);
    let text = place.write_config(listen, &stand_ins)?;
    let config = Config::parse(&text, place.path()).map_err(Failure::usage)?;
    let length = DAY_SECS / demo.speed;
    serve::run_beside(config, &place.data(), |started, tasks| {
        let shipping = shipping(started, seed, length);
        welcome::say(started, &place, &stand_ins, seed, &shipping);
        stand_ins.spawn(tasks)?;
        start_shipping(started, shipping, tasks)
    })
}

/// A folder that holds events already has had its day: only ordinary traffic goes on.
fn shipping(started: &Started, seed: u64, length: f64) -> Shipping {
    #[expect(clippy::cast_possible_truncation, reason = "a day takes two hours at most")]
    let end = SystemClock.now().plus_secs(length.ceil() as i64);
    let day = (started.events == 0).then(|| Day::new(seed, end));
    Shipping::new(day, seed, length)
}

fn start_shipping(started: &Started, shipping: Shipping, tasks: &mut Tasks) -> Result<(), Failure> {
    let listener =
        started.listener.context("the demo has no Kafka listener").map_err(Failure::usage)?;
    // 5 ms at this pace are two minutes of the day: less would cost more batches, more would mix the order.
    let stop = tasks.stop();
    let shipper = Shipper::new(&listener.to_string(), "lz4", 5, stop.clone())?;
    tasks.spawn_thread("shipper", move || {
        shipping.run(&shipper, &stop).map_err(Failure::into_error)
    });
    Ok(())
}

/// Short, so that a person can type it again.
fn any_seed() -> Result<u64, Failure> {
    let mut bytes = [0; 4];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::store(anyhow!("the machine gives no random bytes: {error}")))?;
    Ok(u64::from(u32::from_le_bytes(bytes)) % 1_000_000)
}

/// Port 8080, as `serve` has it; where something else uses that one, any that is free.
fn usual_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8_080));
    match TcpListener::bind(usual) {
        Ok(_) => usual,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}
