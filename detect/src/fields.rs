//! One table: (event's source) × Sigma field → the canonical names that hold its value.

use crate::logsource::EventSource;
use custos_event::ecs;

/// Where a Sigma field's values are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Paths {
    /// Canonical names, the likelier first. A `*` stands for one part of a name.
    pub names: Vec<String>,
    /// Only the first name that has a value counts; else a value at any of them is one of the field.
    pub first_only: bool,
}

/// The canonical names of a Sigma field in events of `source`.
pub fn paths(source: &EventSource, field: &str) -> Paths {
    if is_canonical(field) {
        return Paths { names: vec![field.to_owned()], first_only: false };
    }
    let names = match mapped(source, field) {
        Some(names) => names.iter().map(|name| (*name).to_owned()).collect(),
        None => own_names(source, field),
    };
    Paths { names, first_only: source.product == "windows" && field == "Channel" }
}

/// The canonical names of a field that Custos knows by name in events of `source`.
pub(crate) fn mapped(source: &EventSource, field: &str) -> Option<&'static [&'static str]> {
    let table: &[(&str, &'static [&'static str])] = match source.product {
        _ if source.categories.contains(&"firewall") => FIREWALL,
        "windows" => WINDOWS,
        "linux" => LINUX,
        _ if source.categories.contains(&"webserver") => WEB,
        "zeek" => ZEEK,
        _ => &[],
    };
    table.iter().find(|(name, _)| *name == field).map(|(_, names)| *names)
}

/// ECS and Custos' own names are used as they are.
fn is_canonical(field: &str) -> bool {
    const OURS: [&str; 2] = ["custos.", "winlog."];
    OURS.iter().any(|prefix| field.starts_with(prefix)) || ecs::NAMES.contains(&field)
}

/// Whether only the events of `source` themselves can have a value at the canonical `name`, and no decoder
/// adds one: of Windows, Zeek and `CloudTrail`, whose decoders add nothing but ECS fields. Of other sources
/// nothing is promised.
pub(crate) fn is_native(source: &EventSource, name: &str) -> bool {
    let native: &[&str] = match source.product {
        "windows" => &["winlog.", "message", "tags"],
        "zeek" => &["zeek."],
        "aws" => &["aws."],
        _ => return false,
    };
    native.iter().any(|start| name.starts_with(start)) || !ecs::NAMES.contains(&name)
}

/// The names of a field that only the source's own object has.
fn own_names(source: &EventSource, field: &str) -> Vec<String> {
    let prefixes = own(source);
    // Mappings and shippers keep what ECS has no name for below the product's.
    let named = prefixes == OTHERS && !source.product.is_empty();
    let of_product = named.then(|| format!("{}.{field}", source.product));
    of_product.into_iter().chain(prefixes.iter().map(|prefix| format!("{prefix}{field}"))).collect()
}

/// Where a source keeps the fields of its own object.
fn own(source: &EventSource) -> &'static [&'static str] {
    match source.product {
        "windows" => &["winlog.event_data.", "winlog.user_data.*.", "winlog.user_data."],
        "zeek" => &["zeek."],
        "suricata" => &["suricata.eve."],
        "aws" => &["aws.cloudtrail."],
        "custos" => OURS,
        "keycloak" => &["keycloak."],
        "falco" => &["falco.", "falco.output_fields."],
        "trivy" => &["trivy."],
        "gophish" => &["gophish."],
        "linux" => &["auditd.", "json.", ""],
        _ => OTHERS,
    }
}

const OTHERS: &[&str] = &["json.", ""];

const OURS: &[&str] = &[
    "custos.door_event.",
    "custos.payment_event.",
    "custos.crm_event.",
    "custos.backup_event.",
    "",
];

const WINDOWS: &[(&str, &[&str])] = &[
    ("EventID", &["winlog.event_id"]),
    // When a log is cleared, the event names the log in a field of its own; rules mean that one.
    ("Channel", &["winlog.user_data.*.Channel", "winlog.event_data.Channel", "winlog.channel"]),
    ("Provider_Name", &["winlog.provider_name"]),
    ("Computer", &["winlog.computer_name"]),
    ("ComputerName", &["winlog.event_data.ComputerName", "winlog.computer_name"]),
    ("Data", &["winlog.event_data.Data", "winlog.event_data.Data.#text"]),
    ("Level", &["winlog.level"]),
    ("Keywords", &["winlog.keywords"]),
    ("Task", &["winlog.task"]),
    ("Opcode", &["winlog.opcode"]),
    ("Message", &["message"]),
];

const ZEEK: &[(&str, &[&str])] = &[
    ("c-uri", &["zeek.uri"]),
    ("c-useragent", &["zeek.user_agent"]),
    ("cs-method", &["zeek.method"]),
    ("cs-host", &["zeek.host"]),
    ("sc-status", &["zeek.status_code"]),
    ("record_type", &["zeek.qtype_name"]),
    ("answer", &["zeek.answers"]),
    ("src_ip", &["zeek.id.orig_h"]),
    ("src_port", &["zeek.id.orig_p"]),
    ("dst_ip", &["zeek.id.resp_h"]),
    ("dst_port", &["zeek.id.resp_p"]),
];

/// The W3C extended log names that Sigma uses for web servers and proxies.
const WEB: &[(&str, &[&str])] = &[
    ("c-ip", &["source.ip", "source.address"]),
    ("src_ip", &["source.ip", "source.address"]),
    ("c-uri", &["url.original"]),
    ("cs-uri", &["url.original"]),
    ("c-uri-query", &["url.query"]),
    ("cs-uri-query", &["url.query", "url.original"]),
    ("c-uri-stem", &["url.path"]),
    ("cs-uri-stem", &["url.path"]),
    ("c-uri-extension", &["url.extension"]),
    ("c-useragent", &["user_agent.original"]),
    ("cs-user-agent", &["user_agent.original"]),
    ("cs-referer", &["http.request.referrer"]),
    ("cs-referrer", &["http.request.referrer"]),
    ("cs-method", &["http.request.method"]),
    ("cs-host", &["url.domain"]),
    ("cs-username", &["user.name"]),
    ("cs-version", &["http.version"]),
    ("sc-status", &["http.response.status_code"]),
    ("sc-bytes", &["http.response.body.bytes"]),
    ("cs-content-type", &["http.response.mime_type"]),
];

/// What Sigma's generic firewall rules ask for.
const FIREWALL: &[(&str, &[&str])] = &[
    ("src_ip", &["source.ip"]),
    ("src_port", &["source.port"]),
    ("dst_ip", &["destination.ip"]),
    ("dst_port", &["destination.port"]),
    ("action", &["event.action"]),
    ("protocol", &["network.transport"]),
];

const LINUX: &[(&str, &[&str])] = &[
    ("Image", &["process.executable"]),
    ("CommandLine", &["process.command_line"]),
    ("ParentImage", &["process.parent.executable"]),
    ("ParentCommandLine", &["process.parent.command_line"]),
    ("CurrentDirectory", &["process.working_directory"]),
    ("User", &["user.name"]),
    ("USER", &["user.effective.name", "user.target.name"]),
    ("TargetFilename", &["file.path"]),
    ("DestinationHostname", &["destination.domain"]),
    ("DestinationIp", &["destination.ip"]),
    ("DestinationPort", &["destination.port"]),
    ("SourceIp", &["source.ip"]),
    ("SourcePort", &["source.port"]),
];

/// Whether the canonical `name` is one that `path` means.
pub(crate) fn is_at(name: &str, path: &str) -> bool {
    match path.split_once('*') {
        None => name == path,
        Some((before, after)) => name
            .strip_prefix(before)
            .and_then(|rest| rest.strip_suffix(after))
            .is_some_and(|part| !part.is_empty() && !part.contains('.')),
    }
}

/// The path with a `*` that `name` may be meant by: only Windows' user data has such.
pub(crate) fn starred(name: &str) -> Option<String> {
    let (_, field) = name.strip_prefix(USER_DATA)?.split_once('.')?;
    Some(format!("{USER_DATA}*.{field}"))
}

const USER_DATA: &str = "winlog.user_data.";
