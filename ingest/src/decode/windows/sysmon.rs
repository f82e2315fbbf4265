//! Sysmon events to ECS, by their number.

use super::add_base_name;
use crate::decode::fields::{Raises, Row, add, is_usable, raise_ip};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};

#[derive(Debug)]
pub(super) struct Sysmon {
    actor: Raises,
    rows: Vec<(u64, Raises)>,
    image: FieldId,
    parent_image: FieldId,
    user: FieldId,
    source_user: FieldId,
    hashes: FieldId,
    hash: FieldId,
    source_ip: FieldId,
    destination_ip: FieldId,
    target_filename: FieldId,
    image_loaded: FieldId,
    initiated: FieldId,
}

/// The process that acts, in every event.
const ACTOR: &[Row] = &[
    (ecs::PROCESS_EXECUTABLE, "winlog.event_data.Image"),
    (ecs::PROCESS_EXECUTABLE, "winlog.event_data.SourceImage"),
    (ecs::PROCESS_PID, "winlog.event_data.ProcessId"),
    (ecs::PROCESS_PID, "winlog.event_data.SourceProcessId"),
    (ecs::PROCESS_ENTITY_ID, "winlog.event_data.ProcessGuid"),
    (ecs::PROCESS_ENTITY_ID, "winlog.event_data.SourceProcessGuid"),
    (ecs::PROCESS_ENTITY_ID, "winlog.event_data.SourceProcessGUID"),
    (ecs::RULE_NAME, "winlog.event_data.RuleName"),
];

const CREATED: &[Row] = &[
    (ecs::PROCESS_COMMAND_LINE, "winlog.event_data.CommandLine"),
    (ecs::PROCESS_WORKING_DIRECTORY, "winlog.event_data.CurrentDirectory"),
    (ecs::PROCESS_PARENT_EXECUTABLE, "winlog.event_data.ParentImage"),
    (ecs::PROCESS_PARENT_PID, "winlog.event_data.ParentProcessId"),
    (ecs::PROCESS_PARENT_ENTITY_ID, "winlog.event_data.ParentProcessGuid"),
    (ecs::PROCESS_PARENT_COMMAND_LINE, "winlog.event_data.ParentCommandLine"),
    (ecs::PROCESS_PE_ORIGINAL_FILE_NAME, "winlog.event_data.OriginalFileName"),
    (ecs::PROCESS_PE_COMPANY, "winlog.event_data.Company"),
    (ecs::PROCESS_PE_DESCRIPTION, "winlog.event_data.Description"),
    (ecs::PROCESS_PE_PRODUCT, "winlog.event_data.Product"),
];

const CONNECTION: &[Row] = &[
    (ecs::SOURCE_PORT, "winlog.event_data.SourcePort"),
    (ecs::SOURCE_DOMAIN, "winlog.event_data.SourceHostname"),
    (ecs::DESTINATION_PORT, "winlog.event_data.DestinationPort"),
    (ecs::DESTINATION_DOMAIN, "winlog.event_data.DestinationHostname"),
    (ecs::NETWORK_TRANSPORT, "winlog.event_data.Protocol"),
];

const IMAGE_LOADED: &[Row] = &[(ecs::DLL_PATH, "winlog.event_data.ImageLoaded")];

const FILE: &[Row] = &[(ecs::FILE_PATH, "winlog.event_data.TargetFilename")];

const PIPE: &[Row] = &[(ecs::FILE_NAME, "winlog.event_data.PipeName")];

const REGISTRY: &[Row] = &[
    (ecs::REGISTRY_PATH, "winlog.event_data.TargetObject"),
    (ecs::REGISTRY_DATA_STRINGS, "winlog.event_data.Details"),
];

const DNS: &[Row] = &[
    (ecs::DNS_QUESTION_NAME, "winlog.event_data.QueryName"),
    (ecs::DNS_RESPONSE_CODE, "winlog.event_data.QueryStatus"),
    (ecs::DNS_ANSWERS_DATA, "winlog.event_data.QueryResults"),
];

impl Sysmon {
    pub(super) fn new(table: &FieldTable) -> Self {
        let data = |name: &str| table.intern(&format!("winlog.event_data.{name}"));
        let by_number: [(&[u64], &[Row]); 7] = [
            (&[1], CREATED),
            (&[3], CONNECTION),
            (&[6, 7], IMAGE_LOADED),
            (&[2, 11, 15, 23, 26, 27, 28, 29], FILE),
            (&[17, 18], PIPE),
            (&[12, 13, 14], REGISTRY),
            (&[22], DNS),
        ];
        let mut rows = Vec::new();
        for (numbers, of) in by_number {
            rows.extend(numbers.iter().map(|number| (*number, Raises::new(table, of))));
        }
        Self {
            actor: Raises::new(table, ACTOR),
            rows,
            image: data("Image"),
            parent_image: data("ParentImage"),
            user: data("User"),
            source_user: data("SourceUser"),
            hashes: data("Hashes"),
            hash: data("Hash"),
            source_ip: data("SourceIp"),
            destination_ip: data("DestinationIp"),
            target_filename: data("TargetFilename"),
            image_loaded: data("ImageLoaded"),
            initiated: data("Initiated"),
        }
    }

    pub(super) fn raise(&self, event: &mut ParsedEvent, id: u64) {
        if let Some(action) = action(id) {
            add(event, ecs::EVENT_ACTION, action);
        }
        self.actor.apply(event);
        add_base_name(event, ecs::PROCESS_NAME, self.image);
        if let Some((_, rows)) = self.rows.iter().find(|(number, _)| *number == id) {
            rows.apply(event);
        }
        add_user(event, self.user);
        match id {
            1 => {
                add_base_name(event, ecs::PROCESS_PARENT_NAME, self.parent_image);
                add_hashes(event, self.hashes, &PROCESS_HASHES);
            }
            3 => {
                raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, self.source_ip);
                raise_ip(event, ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS, self.destination_ip);
                let initiated = event.str(self.initiated).map(|text| text == "true");
                if let Some(initiated) = initiated {
                    let direction = if initiated { "egress" } else { "ingress" };
                    add(event, ecs::NETWORK_DIRECTION, direction);
                }
            }
            6 | 7 => {
                add_base_name(event, ecs::DLL_NAME, self.image_loaded);
                add_hashes(event, self.hashes, &DLL_HASHES);
            }
            8 | 10 => add_user(event, self.source_user),
            11 | 15 | 23 | 26..=29 => {
                add_base_name(event, ecs::FILE_NAME, self.target_filename);
                let hashes = if id == 15 { self.hash } else { self.hashes };
                add_hashes(event, hashes, &FILE_HASHES);
            }
            _ => {}
        }
    }
}

/// `DOMAIN\name` becomes its two parts.
fn add_user(event: &mut ParsedEvent, native: FieldId) {
    let Some(user) = event.str(native).filter(|user| is_usable(ValueRef::Str(user))) else {
        return;
    };
    let user = user.to_owned();
    match user.split_once('\\') {
        Some((domain, name)) => {
            add(event, ecs::USER_NAME, name);
            add(event, ecs::USER_DOMAIN, domain);
        }
        None => add(event, ecs::USER_NAME, &user),
    }
}

type HashFields = [(&'static str, FieldId); 4];

const PROCESS_HASHES: HashFields = [
    ("MD5", ecs::PROCESS_HASH_MD5),
    ("SHA1", ecs::PROCESS_HASH_SHA1),
    ("SHA256", ecs::PROCESS_HASH_SHA256),
    ("IMPHASH", ecs::PROCESS_HASH_IMPHASH),
];
const FILE_HASHES: HashFields = [
    ("MD5", ecs::FILE_HASH_MD5),
    ("SHA1", ecs::FILE_HASH_SHA1),
    ("SHA256", ecs::FILE_HASH_SHA256),
    ("", FieldId::OVERFLOW),
];
const DLL_HASHES: HashFields = [
    ("SHA256", ecs::DLL_HASH_SHA256),
    ("", FieldId::OVERFLOW),
    ("", FieldId::OVERFLOW),
    ("", FieldId::OVERFLOW),
];

/// `SHA1=…,MD5=…,SHA256=…,IMPHASH=…` becomes its parts, in lower case as ECS wants them.
fn add_hashes(event: &mut ParsedEvent, native: FieldId, fields: &HashFields) {
    let Some(hashes) = event.str(native) else { return };
    let hashes = hashes.to_ascii_lowercase();
    for hash in hashes.split(',') {
        let Some((kind, digest)) = hash.split_once('=') else { continue };
        let known = |(name, _): &&(&str, _)| !name.is_empty() && name.eq_ignore_ascii_case(kind);
        if let Some((_, field)) = fields.iter().find(known) {
            add(event, *field, digest);
        }
    }
}

fn action(id: u64) -> Option<&'static str> {
    Some(match id {
        1 => "process-created",
        2 => "file-creation-time-changed",
        3 => "network-connection-detected",
        4 => "sysmon-service-state-changed",
        5 => "process-terminated",
        6 => "driver-loaded",
        7 => "image-loaded",
        8 => "create-remote-thread",
        9 => "raw-access-read-detected",
        10 => "process-accessed",
        11 => "file-created",
        12 => "registry-object-added-or-deleted",
        13 => "registry-value-set",
        14 => "registry-object-renamed",
        15 => "file-stream-created",
        16 => "sysmon-config-changed",
        17 => "pipe-created",
        18 => "pipe-connected",
        19 => "wmi-event-filter",
        20 => "wmi-event-consumer",
        21 => "wmi-event-consumer-to-filter",
        22 => "dns-query",
        23 => "file-deleted",
        24 => "clipboard-changed",
        25 => "process-tampering",
        26 => "file-delete-detected",
        27 => "file-block-executable",
        28 => "file-block-shredding",
        29 => "file-executable-detected",
        255 => "sysmon-error",
        _ => return None,
    })
}
