//! Exactly once, whatever happens: real events by way of a real Kafka, and by way of the built-in listener,
//! while the server is killed again and again and others take partitions away; and the projections, thrown
//! away and made anew.

use anyhow::{Context, Result, anyhow, ensure};
use custos_tests::{
    clients::{Producer, kcat_produce},
    custos::Node,
    data,
    guest::{BRISK, BRISK_BROKER, Visits},
    kafka::{Kafka, More},
    process::free_port,
    root,
    totals::{Place, Totals, answers},
};
use std::{
    env, fs,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

const KILLS: u64 = 20;
const MID_PROGRESS_MIN: u64 = 10;

/// 50,000 events take seconds, a million minutes; the rest is for a machine that does other things too.
const LIMIT: Duration = Duration::from_mins(10);

/// An append takes milliseconds, a start with its way into the group seconds: what has not come by then never does.
const STILL: Duration = Duration::from_mins(1);

/// One topic of the test: what it carries, and in how many partitions.
struct Stream {
    topic: &'static str,
    partitions: i32,
    source: &'static str,
    file: &'static str,
    count: usize,
}

const fn stream(
    topic: &'static str,
    partitions: i32,
    source: &'static str,
    file: &'static str,
    count: usize,
) -> Stream {
    Stream { topic, partitions, source, file, count }
}

/// All of the recorded events but the largest file, of which a part.
const STREAMS: &[Stream] = &[
    stream("windows", 3, "windows-evtx", "windows-evtx-raw.jsonl.gz", 20_000),
    stream("nxlog", 3, "windows-nxlog", "windows-nxlog-flat.jsonl.gz", 10_000),
    stream("zeek", 2, "zeek", "zeek.jsonl.gz", 10_000),
    stream("suricata", 1, "suricata", "suricata-eve.jsonl.gz", 1_000),
    stream("cloudtrail", 1, "cloudtrail", "cloudtrail.jsonl.gz", 5_000),
    stream("auth", 1, "syslog", "sshd-auth.log.gz", 10_000),
    stream("web", 2, "apache", "apache-access.log.gz", 10_000),
    stream("saas", 1, "auto", "saas-and-cloud.jsonl.gz", 5_000),
];

/// How far the test of the real Kafka goes.
struct Extent {
    /// At least so many: the recorded ones over and over, as often as it takes.
    records: usize,
    kills: u64,
    /// Stays of another member, each of which is two rebalances.
    visits: u64,
}

impl Extent {
    /// With every change, or as tests/full/exactly-once.sh asks.
    fn asked() -> Result<Self> {
        let asked = |name: &str, usual: u64| match env::var(format!("CUSTOS_FULL_KAFKA_{name}")) {
            Ok(number) => number.parse().with_context(|| format!("CUSTOS_FULL_KAFKA_{name}")),
            Err(_) => Ok(usual),
        };
        let records = usize::try_from(asked("EVENTS", 70_000)?)?;
        Ok(Self { records, kills: asked("KILLS", KILLS)?, visits: asked("VISITS", 3)? })
    }

    /// How long Kafka is filled: a kill and a start take about a second, a visit three.
    fn seconds(&self) -> usize {
        usize::try_from(self.kills + 3 * self.visits).unwrap_or(1).max(1)
    }
}

/// Of each producer: 10,000 lines take twenty seconds, longer than twenty kills and starts, so that a fast
/// machine does not have everything stored after the first few.
const LINES_A_SECOND: usize = 500;

/// What each codec of the listener's test carries.
const CODECS: &[(&str, &Stream)] = &[
    ("gzip", &stream("by-gzip", 1, "windows-evtx", "windows-evtx-raw.jsonl.gz", 10_000)),
    ("snappy", &stream("by-snappy", 2, "zeek", "zeek.jsonl.gz", 10_000)),
    ("lz4", &stream("by-lz4", 1, "syslog", "sshd-auth.log.gz", 10_000)),
    ("zstd", &stream("by-zstd", 3, "apache", "apache-access.log.gz", 10_000)),
];

impl Stream {
    fn lines(&self) -> Result<Vec<Vec<u8>>> {
        data::events(self.file, self.count)
    }

    /// Made lines, where the real ones are absent, are all of sshd.
    fn source(&self) -> &str {
        if data::folder().is_some() { self.source } else { "syslog" }
    }
}

fn rules() -> String {
    format!("[rules]\nfolders = [\"{}\"]\n", root().join("rules/detections").display())
}

fn consumer_config(kafka: &Kafka) -> String {
    let topics: Vec<_> = STREAMS.iter().map(|stream| format!("\"{}\"", stream.topic)).collect();
    let source = |s: &Stream| {
        format!("[[kafka.sources]]\ntopic = \"{}\"\ntype = \"{}\"\n", s.topic, s.source())
    };
    format!(
        "[kafka]\nbrokers = \"{}\"\ntopics = [{}]\nproperties = {{ {BRISK} }}\n{}{}",
        kafka.brokers(),
        topics.join(", "),
        STREAMS.iter().map(source).collect::<String>(),
        rules(),
    )
}

fn listener_config(port: u16) -> String {
    let topic = |s: &Stream| {
        format!(
            "[[listener.topics]]\nname = \"{}\"\npartitions = {}\nsource = \"{}\"\n",
            s.topic,
            s.partitions,
            s.source()
        )
    };
    let topics: String = CODECS.iter().map(|(_, stream)| topic(stream)).collect();
    format!("[listener]\nlisten = \"127.0.0.1:{port}\"\n{topics}{}", rules())
}

/// Kafka, half of its topics filled by kcat, and half being filled by an idempotent confluent-kafka, so that there is
/// something to read until the last kill, however fast it is read.
struct Filled {
    total: u64,
    producers: Vec<Producer>,
}

fn fill(kafka: &Kafka, folder: &Path, extent: &Extent) -> Result<Filled> {
    let lines = STREAMS.iter().map(Stream::lines).collect::<Result<Vec<_>>>()?;
    let recorded = lines.iter().map(Vec::len).sum::<usize>().max(1);
    let (mut total, mut producers) = (0, Vec::new());
    for (nth, (stream, lines)) in STREAMS.iter().zip(&lines).enumerate() {
        kafka.create_topic(stream.topic, stream.partitions)?;
        let count = (lines.len() * extent.records).div_ceil(recorded);
        total += u64::try_from(count)?;
        if nth % 2 == 0 {
            for _ in 0..count / lines.len() {
                kcat_produce(&kafka.brokers(), stream.topic, lines)?;
            }
            kcat_produce(&kafka.brokers(), stream.topic, &lines[..count % lines.len()])?;
        } else {
            let file = folder.join(stream.topic);
            let mut written = BufWriter::new(fs::File::create(&file)?);
            for line in lines.iter().cycle().take(count) {
                written.write_all(line)?;
                written.write_all(b"\n")?;
            }
            written.flush()?;
            let rate = count.div_ceil(extent.seconds());
            producers.push(Producer::start(&kafka.brokers(), stream.topic, &file, "zstd", rate)?);
        }
    }
    Ok(Filled { total, producers })
}

impl Filled {
    /// Waits until all are there; says what Kafka has.
    fn finish(self, kafka: &Kafka) -> Result<Totals> {
        for producer in self.producers {
            producer.finish(LIMIT)?;
        }
        let mut sent = Totals::default();
        for stream in STREAMS {
            kafka.each(stream.topic, |record| {
                let topic = stream.topic.to_owned();
                let place = Place { topic, partition: record.partition, offset: record.offset };
                sent.add(place, &String::from_utf8_lossy(&record.value));
            })?;
        }
        ensure!(sent.count() as u64 == self.total, "Kafka holds {}", sent.count());
        Ok(sent)
    }
}

#[test]
fn events_of_a_real_kafka_are_stored_exactly_once_through_kills_and_rebalances() -> Result<()> {
    let Some(libs) = Kafka::locate() else { return Ok(()) };
    let extent = Extent::asked()?;
    let Extent { kills, visits, .. } = extent;
    let folder = tempfile::tempdir()?;
    let more = More { properties: BRISK_BROKER.into(), ..More::default() };
    let kafka = Kafka::start_with(libs, &more)?;
    let filled = fill(&kafka, folder.path(), &extent)?;
    let total = filled.total;
    let mut node = Node::start(folder.path(), free_port()?, &consumer_config(&kafka))?;
    let topics = STREAMS.iter().map(|stream| stream.topic).collect();
    let partitions =
        STREAMS.iter().map(|stream| usize::try_from(stream.partitions)).sum::<Result<_, _>>()?;
    let mut guests = Visits::new(&kafka, topics, partitions, visits, kills);
    let also = |node: &Node, moment| guests.at(node, moment);
    let killed = node.kill_on_the_way_and(total, kills, STILL, also).and_then(|mid_progress| {
        node.wait_for_stored(total, STILL)?;
        Ok(mid_progress)
    });
    // What is lost is waited for in vain; what is there twice ends the wait before the last ones have come. Which they
    // are is told by the comparison.
    node.stop().with_context(|| format!("{killed:?}"))?;
    let sent = filled.finish(&kafka).with_context(|| format!("{killed:?}"))?;
    let same = Totals::stored(&node)?.assert_same_as(&sent);
    same.map_err(|wrong| anyhow!("{wrong}; before that: {killed:?}"))?;
    ensure!(node.stored()? == total, "more records than Kafka has");
    let mid_progress = killed?;
    println!("{total} records, {mid_progress} of {kills} kills came in mid-progress");
    ensure!(mid_progress >= kills.div_ceil(2), "only {mid_progress} kills came in mid-progress");
    // The first assignment is none.
    let rebalances = kafka.generation("custos")?.saturating_sub(1);
    let Visits { over, given_back, .. } = guests;
    println!(
        "{over} stays of another member, {rebalances} rebalances, {given_back} of them seen by Custos; 0 lost, 0 doubled"
    );
    ensure!(
        over == visits && rebalances >= 2 * visits && given_back >= visits,
        "too few rebalances"
    );
    projections_can_be_thrown_away(&node)
}

#[test]
fn the_listener_stores_every_codec_exactly_once_through_twenty_kills() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = free_port()?;
    let brokers = format!("127.0.0.1:{port}");
    let mut node = Node::start(folder.path(), free_port()?, &listener_config(port))?;
    let (mut total, mut producers) = (0, Vec::new());
    for (codec, stream) in CODECS {
        let lines = stream.lines()?;
        total += u64::try_from(lines.len())?;
        let file = folder.path().join(stream.topic);
        fs::write(&file, lines.join(&b"\n"[..]))?;
        let producer = Producer::start(&brokers, stream.topic, &file, codec, LINES_A_SECOND)?;
        producers.push((stream.topic, lines, producer));
    }
    let mid_progress = node.kill_on_the_way(total, KILLS, LIMIT)?;
    println!("{mid_progress} of {KILLS} kills came in mid-progress");
    ensure!(mid_progress >= MID_PROGRESS_MIN, "only {mid_progress} kills came in mid-progress");

    let mut sent = Totals::default();
    for (topic, lines, producer) in producers {
        let deliveries = producer.finish(LIMIT)?;
        ensure!(deliveries.len() == lines.len(), "{topic}: {} acknowledged", deliveries.len());
        for delivery in deliveries {
            let line = lines.get(delivery.line).context("a line that was not sent")?;
            let (partition, offset) = (delivery.partition, delivery.offset);
            let place = Place { topic: topic.to_owned(), partition, offset };
            sent.add(place, &String::from_utf8_lossy(line));
        }
    }
    node.stop()?;
    Totals::stored(&node)?.assert_same_as(&sent)?;
    ensure!(node.stored()? == total, "more records than were sent");
    projections_can_be_thrown_away(&node)
}

/// Deletes the index and the catalog; a rebuild gives the same answers byte for byte, and a replay of the
/// rules the very alerts that the journal holds.
fn projections_can_be_thrown_away(node: &Node) -> Result<()> {
    let queries = [
        "event.outcome:failure",
        "sshd",
        "user.name:root or source.ip:10.0.0.0/8",
        "kafka.offset:7",
    ];
    let before = answers(node, &queries)?;
    for projection in ["index", "catalog"] {
        fs::remove_dir_all(node.data().join(projection))
            .with_context(|| format!("there was no {projection} to delete"))?;
    }
    let rules = root().join("rules/detections");
    let rules = rules.to_string_lossy();
    let rebuilt = node.run(&["rebuild", "--json", "--rules", &rules])?.done()?.last_json()?;
    ensure!(rebuilt["replay"]["missing"] == serde_json::json!([]), "{rebuilt}");
    ensure!(rebuilt["replay"]["extra"] == serde_json::json!([]), "{rebuilt}");
    ensure!(rebuilt["replay"]["same"] == rebuilt["alerts"], "{rebuilt}");
    for ((what, before), (_, after)) in before.iter().zip(answers(node, &queries)?) {
        ensure!(before == &after, "'{what}' gives another answer after the rebuild");
    }
    Ok(())
}
