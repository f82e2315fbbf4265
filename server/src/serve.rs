//! `custos serve`: opens the store, starts what the configuration asks for, runs until SIGTERM or SIGINT.

use crate::{
    api::{self, rules::Shelf, sources::Inlets},
    auth::{Auth, Lifetime},
    clock::SystemClock,
    config::{self, Config, Sources, intake::Speaks},
    crm,
    customers::Register,
    enrich::{self, Enricher},
    evidence::verification::Verifier,
    exit::{CommandResult, Failure, Outcome},
    folder::{Folder, Opened, append_facts, system},
    http,
    pipeline::{follow::follow, intake::StoreIntake, rulebook::Registrar},
    privacy::cases::Cases,
    projection::{follower::Views, past::Past},
    publish,
    respond::{Desk, Reads, config::Respond, evidence::Searcher, playbooks, runner::Runner},
    room, rulefiles, silence,
    sourcebook::SourceBook,
    tasks::Tasks,
    upkeep::{Keeper, Upkeep, keeper},
    witness::{self, Witnesses, Witnessing},
};
use anyhow::Context as _;
use custos_event::{Clock, Fact};
use custos_ingest::{
    BodyLimits, Decode, Decoders, Gate, Port,
    decode::{Decoder, SourceType},
    kafka::{Consumer, Paused, Shown},
    listener::Listener,
    shippers::ShippersConfig,
};
use custos_search::Index;
use metrics_exporter_prometheus::PrometheusHandle;
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

mod followers;

/// What is running, for whoever runs something beside it.
pub(crate) struct Started {
    pub(crate) http: Option<SocketAddr>,
    pub(crate) listener: Option<SocketAddr>,
    /// While there is no account: the address that makes the first one.
    pub(crate) setup: Option<String>,
    /// Events that the log held before.
    pub(crate) events: u64,
}

/// What still waits on a thread of its own then waits for somebody else: a witness or a mail server that does not
/// answer. It would be waited for without end.
const ABANDON_AFTER: Duration = Duration::from_secs(1);

pub(crate) fn run(config: Config, folder: &Folder) -> CommandResult {
    run_beside(config, folder, |_, _| Ok(()))
}

/// The same with tasks of the caller's own; `beside` adds them once the server is ready.
pub(crate) fn run_beside(
    config: Config,
    folder: &Folder,
    beside: impl FnOnce(&Started, &mut Tasks) -> Result<(), Failure>,
) -> CommandResult {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the async threads")
        .map_err(Failure::store)?;
    let mut opened = folder.keeping_free(config.keep_free).open(true)?;
    opened.record_start()?;
    let store = opened.store.clone();
    let served = runtime.block_on(async {
        let stop_asked = stop_asked();
        let mut tasks = Tasks::new();
        let started = start(config, opened, &mut tasks).await?;
        beside(&started, &mut tasks)?;
        tasks.run(stop_asked).await.map_err(Failure::store)
    });
    // Followers wait for commits: they must have ended before the store goes.
    store.close()?;
    runtime.shutdown_timeout(ABANDON_AFTER);
    served.map(|()| Outcome::Done)
}

async fn start(config: Config, opened: Opened, tasks: &mut Tasks) -> Result<Started, Failure> {
    let events = opened.store.ends().events();
    tasks.spawn("store", room::watch(opened.store.clone(), tasks.stop()));
    let mut started = Started { http: None, listener: None, setup: None, events };
    let metrics = http::install_metrics().map_err(Failure::store)?;
    let files = rulefiles::read(&config.rules).map_err(Failure::usage)?;
    let broken = Shelf::broken(&files);
    followers::start_detector(&files, &opened, tasks)?;
    let registrar = Registrar::open(&opened.store, &opened.journal()?).map_err(Failure::store)?;
    let rules = (broken, registrar);
    let book = source_book(&config, &opened)?;
    drop(files);
    let index = followers::start_indexer(&opened, tasks)?;
    let views = followers::start_views(&opened, tasks)?;
    let responding = start_responding(&config.respond, &opened, &index, tasks)?;
    let classes = config.keeping.retention.as_ref().map(|policy| policy.classes.clone());
    let classes = classes.unwrap_or_default();
    let kept = (config.backup, config.keeping);
    let upkeep = start_upkeep(kept, &opened, (&index, &responding.0), tasks)?;
    // With or without an API: an erasure that was approved is carried out, and heads go to their witnesses.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let cases = Cases::open(&opened.store, &opened.journal()?, clock).map_err(Failure::store)?;
    let watched = start_watching(&config.witnessing, &opened, &responding, tasks)?;
    let intake =
        StoreIntake::new(opened.store.clone(), Arc::clone(&opened.table)).with_classes(classes);
    let intake = intake.with_enricher(start_enricher(&config.enrich, &opened, tasks)?);
    let mut ready = Vec::new();
    let mut inlets = Inlets { silence: config.silence.clone(), ..Inlets::default() };
    if let Some(listener) = config.listener {
        let address = start_listener(&listener, &intake, &opened, tasks).await?;
        inlets.open.push(listener.inlet(address));
        ready.push(format!("kafka listener {address}"));
        started.listener = Some(address);
    }
    if let Some(kafka) = config.kafka {
        ready.push(format!("reads kafka {}", kafka.reach.brokers));
        let shown = Shown::new(Arc::clone(&inlets.lags), Arc::clone(&inlets.crm));
        start_consumer(kafka, &intake, &opened, (shown, Arc::clone(book.paused())), tasks)?;
    }
    ready.extend(publish::start(config.publish.as_ref(), &opened, &inlets.crm, tasks)?);
    for port in &config.intakes {
        let address = start_intake(port, &intake, (&opened, &book), tasks).await?;
        ready.push(format!("{} {address}", port.source()));
        inlets.open.push(port.inlet(address));
    }
    for connector in &config.crm {
        crm::start(connector, &intake, &opened, &inlets.crm, tasks)?;
        ready.push(format!("asks crm:{}", connector.name));
    }
    let silent = silence::watch(views.clone(), opened.store.clone(), config.silence, tasks.stop());
    tasks.spawn("silence", silent);
    if let Some(listen) = config.http {
        let decoders = decoders(&opened, Sources::default())?;
        let views = (views, rules, responding, (Arc::new(inlets), upkeep));
        let watched = (watched, (cases, book));
        let shared = shared(metrics, opened, index, views, watched, config.session, tasks.stop())?;
        let state = api::State::new(shared);
        let auth = Arc::clone(&state.auth);
        let (address, server) = http::bind(listen, state, intake, decoders, tasks.stop())
            .await
            .map_err(Failure::usage)?;
        ready.push(format!("http {address}"));
        started.http = Some(address);
        tasks.spawn("http", server);
        tasks.spawn("sessions", sweep_sessions(Arc::clone(&auth), tasks.stop()));
        started.setup = setup_token(&auth, address)?;
    }
    eprintln!("ready: {}", ready.join(", "));
    started.setup.iter().for_each(|link| eprintln!("setup: {link}"));
    Ok(started)
}

/// What people see: views, rules, the desk, sources and upkeep.
type Watched = (Views, (Shelf, Registrar), (Desk, Reads), (Arc<Inlets>, Upkeep));

/// What the API's handlers share.
fn shared(
    metrics: PrometheusHandle,
    opened: Opened,
    index: Index,
    (views, (broken_rules, registrar), (desk, reads), (inlets, upkeep)): Watched,
    ((witnesses, verifier), (cases, sources)): ((Witnesses, Verifier), (Cases, SourceBook)),
    lifetime: Lifetime,
    stop: CancellationToken,
) -> Result<api::Shared, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let auth = Arc::new(Auth::open(&opened, lifetime, Arc::clone(&clock))?);
    let journal = opened.journal()?;
    let streams = api::stream::places();
    let fields = opened.folder.protection().personal.clone().unwrap_or_default();
    let sealed = crate::privacy::field_names(&fields, &opened.table);
    Ok(api::Shared {
        metrics,
        opened,
        index,
        journal,
        desk,
        witnesses,
        verifier,
        cases,
        reads,
        auth,
        clock,
        views,
        inlets,
        sources,
        broken_rules,
        registrar,
        trial: api::trial_places(),
        upkeep,
        streams,
        stop,
        past: Past::default(),
        sealed: Arc::new(sealed),
        then: None,
    })
}

/// Witnesses get the logs' heads; a verification can be asked for.
fn start_watching(
    witnessing: &Witnessing,
    opened: &Opened,
    (desk, reads): &(Desk, Reads),
    tasks: &mut Tasks,
) -> Result<(Witnesses, Verifier), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let means = witness::Means {
        store: opened.store.clone(),
        world: Arc::clone(&reads.world),
        catalog: opened.journal()?.catalog().clone(),
        clock: Arc::clone(&clock),
    };
    let kept = witness::keep(witnessing, means, tasks.stop()).map_err(Failure::store)?;
    let (witnesses, task) = kept;
    tasks.spawn("witnesses", task);
    let folder = opened.folder.path().to_path_buf();
    let verifier = Verifier::new(folder, desk.clone(), clock, tasks.stop());
    tasks.spawn("verification", verifier.clone().end_with_server());
    Ok((witnesses, verifier))
}

/// Backups, drills and retention on a thread of their own, and the scrub on another.
fn start_upkeep(
    config: (Option<crate::upkeep::config::Backup>, keeper::Keeping),
    opened: &Opened,
    (index, desk): (&Index, &Desk),
    tasks: &mut Tasks,
) -> Result<Upkeep, Failure> {
    let parts = keeper::Parts {
        clock: Arc::new(SystemClock),
        data: opened.folder.path().to_owned(),
        store: opened.store.clone(),
        table: Arc::clone(&opened.table),
        index: index.clone(),
        journal: opened.journal()?,
        desk: desk.clone(),
        stop: tasks.stop(),
    };
    let (keeper, upkeep) = Keeper::new(config, parts)?;
    let scrubber = keeper.scrubber();
    tasks.spawn_thread("scrub", move || scrubber.run());
    tasks.spawn_thread("upkeep", move || keeper.run());
    Ok(upkeep)
}

/// While there is no account: the address that lets who started the server make the first one.
fn setup_token(auth: &Auth, address: SocketAddr) -> Result<Option<String>, Failure> {
    let token = auth.accounts.make_setup_token().map_err(Failure::store)?;
    Ok(token.map(|token| format!("http://{address}/#setup={}", token.reveal())))
}

/// Ends sessions that are over, so that the streams they keep open end too.
async fn sweep_sessions(auth: Arc<Auth>, stop: CancellationToken) -> anyhow::Result<()> {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = every.tick() => auth.sweep(),
        }
    }
}

/// The desk, and the runner on a thread of its own.
fn start_responding(
    config: &Respond,
    opened: &Opened,
    index: &Index,
    tasks: &mut Tasks,
) -> Result<(Desk, Reads), Failure> {
    let files = playbooks::read(&config.playbooks).map_err(Failure::usage)?;
    for file in &files {
        crate::cli::report_playbook(file);
    }
    let playbooks = playbooks::accepted(files);
    let world = Arc::new(config.world().map_err(Failure::usage)?);
    info!(playbooks = playbooks.len(), "responding");
    let (store, clock) = (opened.store.clone(), Arc::new(SystemClock));
    let desk = Desk::open(&store, playbooks, config.limits.clone(), clock)?;
    let searcher = Searcher { index: index.clone(), store: store.clone() };
    let catalog = opened.journal()?.catalog().clone();
    let reads = Reads { world: Arc::clone(&world), searcher: searcher.clone() };
    let register = Register::new(index, opened);
    let (mut runner, cursor) =
        Runner::new(desk.clone(), world, (searcher, register), catalog).map_err(Failure::store)?;
    let (table, stop) = (Arc::clone(&opened.table), tasks.stop());
    tasks.spawn_thread("runner", move || follow(&store, &table, &cursor, &mut runner, &stop));
    Ok((desk, reads))
}

async fn start_listener(
    config: &config::listener::Listener,
    intake: &StoreIntake,
    opened: &Opened,
    tasks: &mut Tasks,
) -> Result<SocketAddr, Failure> {
    let opening = config.open().context("section [listener]").map_err(Failure::usage)?;
    let decoders = decoders(opened, config.sources.clone())?;
    let listener =
        Listener::bind(opening, Arc::new(intake.clone()), decoders, Arc::new(SystemClock))
            .await
            .map_err(Failure::usage)?;
    let address = listener.local_addr();
    let stop = tasks.stop();
    tasks.spawn("kafka listener", async move { Ok(listener.run(stop).await?) });
    Ok(address)
}

/// One socket of shippers; says where it listens.
async fn start_intake(
    config: &config::intake::Intake,
    intake: &StoreIntake,
    (opened, book): (&Opened, &SourceBook),
    tasks: &mut Tasks,
) -> Result<SocketAddr, Failure> {
    let (types, made) = (config.types.clone(), book.clone());
    let decoders = decoders_by(opened, move |name| {
        types.get(name).copied().or_else(|| made.source_type(name)).unwrap_or(SourceType::Auto)
    })?;
    let gate = Gate::new(Arc::new(intake.clone()), decoders, Arc::new(SystemClock));
    let stop = tasks.stop();
    let address = match &config.speaks {
        Speaks::Port(protocol) => {
            let port = config.port(*protocol).map_err(Failure::usage)?;
            let port = Port::bind(port, gate).await.map_err(Failure::usage)?;
            let address = port.local_addr();
            tasks.spawn("intake", async move { Ok(port.run(stop).await?) });
            address
        }
        Speaks::Http { tokens, .. } => {
            let shippers = ShippersConfig {
                name: config.name.as_str().into(),
                tokens: tokens.clone(),
                webhooks: config.webhooks().map_err(Failure::usage)?,
                book: Arc::clone(book.tokens()),
                limits: BodyLimits::default(),
            };
            let tls = config.tls().map_err(Failure::usage)?;
            let bound = http::bind_shippers(config.listen, tls, shippers, gate, stop).await;
            let (address, server) = bound.map_err(Failure::usage)?;
            tasks.spawn("intake", server);
            address
        }
    };
    Ok(address)
}

/// What is looked up for events, read anew when it changes.
fn start_enricher(
    config: &enrich::Enrich,
    opened: &Opened,
    tasks: &mut Tasks,
) -> Result<Enricher, Failure> {
    let data = opened.folder.path();
    let enricher = Enricher::open(config, data, &opened.table).map_err(Failure::usage)?;
    let directories = enrich::keep(config.directories.clone(), data.to_owned(), tasks.stop());
    tasks.spawn("directories", directories);
    let table = Arc::clone(&opened.table);
    tasks.spawn("enrich", enrich::watch(enricher.clone(), table, tasks.stop()));
    Ok(enricher)
}

/// The sources that people made, under names that the configuration does not give, and what they paused.
fn source_book(config: &Config, opened: &Opened) -> Result<SourceBook, Failure> {
    let taken = config.intakes.iter().flat_map(|intake| intake.types.keys().cloned()).collect();
    let topics = config.kafka.as_ref().map(config::kafka::Kafka::read).unwrap_or_default();
    let of = (&opened.store, &opened.journal()?);
    let clock = Arc::new(SystemClock);
    SourceBook::open(of, &config.mappings, (taken, topics), clock).map_err(Failure::store)
}

fn start_consumer(
    config: config::kafka::Kafka,
    intake: &StoreIntake,
    opened: &Opened,
    outside: (Shown, Arc<Paused>),
    tasks: &mut Tasks,
) -> Result<(), Failure> {
    let consumer_config = config.consumer().map_err(Failure::usage)?;
    let decoders = decoders(opened, config.sources)?;
    let store = opened.store.clone();
    let facts = Arc::new(move |fact: Fact| {
        if let Err(failure) = append_facts(&store, &system("ingest"), vec![fact]) {
            error!(error = format!("{:#}", failure.into_error()), "a fact could not be written");
        }
    });
    let intake = Arc::new(intake.clone());
    let stop = tasks.stop();
    let clock = Arc::new(SystemClock);
    let consumer = Consumer::new(consumer_config, intake, decoders, clock, facts, outside)
        .map_err(Failure::usage)?;
    tasks.spawn_thread("kafka consumer", move || Ok(consumer.run(&stop)?));
    Ok(())
}

/// A decoder for each topic, of the type that the configuration gives it.
pub(crate) fn decoders(opened: &Opened, sources: Sources) -> Result<Decoders, Failure> {
    decoders_by(opened, move |topic| sources.of(topic))
}

/// The same where `kind` says the type.
fn decoders_by(
    opened: &Opened,
    kind: impl Fn(&str) -> SourceType + Send + Sync + 'static,
) -> Result<Decoders, Failure> {
    let standard = opened.decoding(SourceType::Auto, "".into())?;
    let table = Arc::clone(&opened.table);
    Ok(Arc::new(move |source: &str| {
        let topic = source.split_once(':').map_or(source, |(_, topic)| topic);
        let mut options = standard.clone();
        options.source_type = kind(topic);
        options.source = source.into();
        Box::new(Decoder::new(Arc::clone(&table), options)) as Box<dyn Decode>
    }))
}

/// From now on SIGTERM and SIGINT do not kill; the future tells that one came. Called before anything is said
/// to be ready: whoever reads that may send one at once.
fn stop_asked() -> impl Future<Output = &'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    async {
        let (Ok(mut term), Ok(mut int)) = signals else {
            error!("cannot listen for signals; stop with SIGKILL");
            return std::future::pending().await;
        };
        tokio::select! {
            _ = term.recv() => "SIGTERM",
            _ = int.recv() => "SIGINT",
        }
    }
}
