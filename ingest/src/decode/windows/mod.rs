//! Windows events in the shapes that ship them: evtx-to-JSON, NXLog's flat JSON, winlogbeat old and new.
//! All reach the same native names (`winlog.*`) first, and ECS from there by one set of tables.

mod rows;
mod sysmon;

use super::{
    Read,
    fields::{Raises, add, add_some, base_name, is_usable, raise, raise_ip},
    time::{self, SourceTime},
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ValueRef, ecs};
use std::{collections::HashMap, sync::Arc};

/// Channel names are few on any host; a source that makes them up gets its dataset computed each time.
const DATASETS_MAX: usize = 1_024;

#[derive(Debug)]
pub(super) struct Windows {
    common: Raises,
    security: Raises,
    target: Raises,
    subject: Raises,
    sysmon: sysmon::Sysmon,
    native: Native,
    datasets: HashMap<Box<str>, Arc<Dataset>>,
}

/// Native fields that need more than an alias.
#[derive(Debug)]
struct Native {
    timestamp: FieldId,
    flat_timestamp: FieldId,
    event_time: FieldId,
    event_received_time: FieldId,
    time_created: FieldId,
    utc_time: FieldId,
    event_type: FieldId,
    computer: FieldId,
    provider: FieldId,
    ip_address: FieldId,
    source_address: FieldId,
    dest_address: FieldId,
    status: FieldId,
    new_process_id: FieldId,
    process_id: FieldId,
    new_process_name: FieldId,
    process_name: FieldId,
    parent_process_name: FieldId,
}

impl Native {
    fn new(table: &FieldTable) -> Self {
        let data = |name: &str| table.intern(&format!("winlog.event_data.{name}"));
        Self {
            timestamp: table.intern("@timestamp"),
            flat_timestamp: data("@timestamp"),
            event_time: data("EventTime"),
            event_received_time: data("EventReceivedTime"),
            time_created: data("TimeCreated"),
            utc_time: data("UtcTime"),
            event_type: data("EventType"),
            computer: data("Computer"),
            provider: data("Provider_Name"),
            ip_address: data("IpAddress"),
            source_address: data("SourceAddress"),
            dest_address: data("DestAddress"),
            status: data("Status"),
            new_process_id: data("NewProcessId"),
            process_id: data("ProcessId"),
            new_process_name: data("NewProcessName"),
            process_name: data("ProcessName"),
            parent_process_name: data("ParentProcessName"),
        }
    }
}

impl Windows {
    pub(super) fn new(table: &FieldTable) -> Self {
        Self {
            common: Raises::new(table, rows::COMMON),
            security: Raises::new(table, rows::SECURITY),
            target: Raises::new(table, rows::TARGET),
            subject: Raises::new(table, rows::SUBJECT),
            sysmon: sysmon::Sysmon::new(table),
            native: Native::new(table),
            datasets: HashMap::new(),
        }
    }

    /// `{"Event":{"System":…,"EventData":…}}`; its time is `System.TimeCreated`, always UTC.
    pub(super) fn evtx(&mut self, event: &mut ParsedEvent) -> Read {
        if event.get(ecs::WINLOG_EVENT_ID).is_none() && event.get(ecs::WINLOG_CHANNEL).is_none() {
            return Err("no Event.System with an EventID or a Channel in it".into());
        }
        let time = event.get(ecs::WINLOG_TIME_CREATED).and_then(time::of_value);
        self.raise(event);
        Ok(time)
    }

    /// NXLog flat. Its rows carry varying subsets of five times: docs/sources/README.md says why this
    /// order. A time without a zone stands only where no better one is.
    pub(super) fn nxlog(&mut self, event: &mut ParsedEvent) -> Option<SourceTime> {
        let native = &self.native;
        let read = |field| event.get(field).and_then(time::of_value);
        let utc = read(native.utc_time).map(|time| SourceTime { completed: false, ..time });
        let zoned = [native.time_created, native.event_time, native.flat_timestamp];
        let local = [native.event_time, native.time_created, native.event_received_time];
        let time = utc
            .or_else(|| zoned.into_iter().filter_map(read).find(|time| !time.completed))
            .or_else(|| local.into_iter().find_map(read));
        if event.get(ecs::WINLOG_COMPUTER_NAME).is_none() {
            raise(event, ecs::WINLOG_COMPUTER_NAME, native.computer);
        }
        if event.get(ecs::WINLOG_PROVIDER_NAME).is_none() {
            raise(event, ecs::WINLOG_PROVIDER_NAME, native.provider);
        }
        self.raise(event);
        time
    }

    /// ECS already: what the shipper filled stays, and a dataset is added where it gave none. Windows
    /// events among them get our dataset; their values are raised unless a module of the shipper did so.
    pub(super) fn ecs(&mut self, event: &mut ParsedEvent) -> Option<SourceTime> {
        let time = event.get(self.native.timestamp).and_then(time::of_value);
        let is_raised = event.get(ecs::EVENT_MODULE).is_some();
        if event.get(ecs::WINLOG_CHANNEL).is_some() {
            let id = self.name(event);
            self.common.apply_missing(event);
            if !is_raised {
                self.raise_channel(event, id);
            }
            return time;
        }
        if !is_raised {
            add(event, ecs::EVENT_MODULE, "ecs");
        }
        if event.get(ecs::EVENT_DATASET).is_none() {
            add(event, ecs::EVENT_DATASET, "ecs.generic");
        }
        time
    }

    /// winlogbeat before version 7.
    pub(super) fn winlogbeat6(&mut self, event: &mut ParsedEvent) -> Option<SourceTime> {
        let time = event.get(self.native.timestamp).and_then(time::of_value);
        self.raise(event);
        time
    }

    fn raise(&mut self, event: &mut ParsedEvent) {
        let id = self.name(event);
        self.common.apply(event);
        self.raise_channel(event, id);
    }

    /// Names module and dataset; the event's number and kind come back.
    fn name(&mut self, event: &mut ParsedEvent) -> (u64, Channel) {
        let channel = event.str(ecs::WINLOG_CHANNEL).unwrap_or_default();
        let dataset = dataset_of(&mut self.datasets, channel);
        let id = event.get(ecs::WINLOG_EVENT_ID).and_then(number).unwrap_or(0);
        add(event, ecs::EVENT_MODULE, "windows");
        add(event, ecs::EVENT_DATASET, &dataset.name);
        (id, dataset.channel)
    }

    fn raise_channel(&self, event: &mut ParsedEvent, (id, channel): (u64, Channel)) {
        match channel {
            Channel::Sysmon => self.sysmon.raise(event, id),
            Channel::Security => self.security(event, id),
            Channel::Other => {}
        }
    }

    fn security(&self, event: &mut ParsedEvent, id: u64) {
        let native = &self.native;
        let users = if rows::is_about_its_target(id) { &self.target } else { &self.subject };
        users.apply(event);
        self.security.apply(event);
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, native.ip_address);
        raise_ip(event, ecs::SOURCE_IP, ecs::SOURCE_ADDRESS, native.source_address);
        raise_ip(event, ecs::DESTINATION_IP, ecs::DESTINATION_ADDRESS, native.dest_address);
        add_some(event, ecs::EVENT_ACTION, rows::action(id));
        add_some(event, ecs::EVENT_OUTCOME, self.outcome(event, id));
        let (pid, executable) = if id == 4_688 {
            let parent = event.get(native.process_id).and_then(number);
            add_number(event, ecs::PROCESS_PARENT_PID, parent);
            raise(event, ecs::PROCESS_PARENT_EXECUTABLE, native.parent_process_name);
            add_base_name(event, ecs::PROCESS_PARENT_NAME, native.parent_process_name);
            (native.new_process_id, native.new_process_name)
        } else {
            (native.process_id, native.process_name)
        };
        let pid = event.get(pid).and_then(number);
        add_number(event, ecs::PROCESS_PID, pid);
        raise(event, ecs::PROCESS_EXECUTABLE, executable);
        add_base_name(event, ecs::PROCESS_NAME, executable);
    }

    /// Audit success or failure: the two keyword bits of the security channel, NXLog's word for them, or
    /// the events that are one by nature.
    fn outcome(&self, event: &ParsedEvent, id: u64) -> Option<&'static str> {
        const SUCCESS: u64 = 1 << 53;
        const FAILURE: u64 = 1 << 52;
        match (event.str(self.native.event_type), id) {
            (Some("AUDIT_SUCCESS"), _) | (_, 4_624) => return Some("success"),
            (Some("AUDIT_FAILURE"), _) | (_, 4_625 | 4_771) => return Some("failure"),
            _ => {}
        }
        let keywords = event.get(ecs::WINLOG_KEYWORDS).and_then(number).unwrap_or(0);
        if keywords & FAILURE != 0 {
            return Some("failure");
        }
        if keywords & SUCCESS != 0 {
            return Some("success");
        }
        match event.get(self.native.status).and_then(number) {
            Some(0) => Some("success"),
            Some(_) if matches!(id, 4_768 | 4_769 | 4_776) => Some("failure"),
            Some(_) | None => None,
        }
    }
}

/// Which tables apply.
#[derive(Clone, Copy, Debug)]
enum Channel {
    Sysmon,
    Security,
    Other,
}

#[derive(Debug)]
struct Dataset {
    name: Box<str>,
    channel: Channel,
}

fn dataset_of(datasets: &mut HashMap<Box<str>, Arc<Dataset>>, channel: &str) -> Arc<Dataset> {
    if let Some(known) = datasets.get(channel) {
        return Arc::clone(known);
    }
    let slug = rows::channel_slug(channel);
    let kind = match &*slug {
        "sysmon" => Channel::Sysmon,
        "security" => Channel::Security,
        _ => Channel::Other,
    };
    let dataset = Arc::new(Dataset { name: format!("windows.{slug}").into(), channel: kind });
    if datasets.len() < DATASETS_MAX {
        datasets.insert(channel.into(), Arc::clone(&dataset));
    }
    dataset
}

/// A number as Windows writes it: plain, negative for a mask of 64 bits, decimal or hexadecimal text.
fn number(value: ValueRef<'_>) -> Option<u64> {
    match value {
        ValueRef::Int(number) => Some(number.cast_unsigned()),
        ValueRef::UInt(number) => Some(number),
        ValueRef::Str(text) => match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => text.parse().ok(),
        },
        ValueRef::Null | ValueRef::Bool(_) | ValueRef::Float(_) => None,
    }
}

fn add_number(event: &mut ParsedEvent, field: FieldId, number: Option<u64>) {
    if let Some(number) = number.and_then(|number| i64::try_from(number).ok()) {
        event.add(field, ValueRef::Int(number));
    }
}

/// Adds the file name at the end of the path that `native` holds.
fn add_base_name(event: &mut ParsedEvent, field: FieldId, native: FieldId) {
    let Some(path) = event.str(native).filter(|path| is_usable(ValueRef::Str(path))) else {
        return;
    };
    let name = base_name(path).to_owned();
    add(event, field, &name);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_windows_writes_them() {
        for (value, expected) in [
            (ValueRef::Str("0x1a74"), Some(6_772)),
            (ValueRef::Str("4624"), Some(4_624)),
            (ValueRef::Int(-9_214_364_837_600_034_816), Some(0x8020_0000_0000_0000)),
            (ValueRef::Str("-"), None),
        ] {
            assert_eq!(number(value), expected);
        }
    }
}
