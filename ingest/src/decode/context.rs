//! What the way an event came by says of it, where the event does not say it itself.

use super::{
    SourceType,
    fields::{self, add_some},
    time::{self, SourceTime},
};
use crate::{decoding::Context, protect::Policy};
use bytes::Bytes;
use custos_event::{FieldId, Flags, ParsedEvent, ecs};

pub(super) fn add(event: &mut ParsedEvent, context: Context, tag_field: FieldId, policy: &Policy) {
    let Context { sender, host, file, time, tag } = context;
    if let Some(tag) = tag {
        add_some(event, tag_field, Some(&protected(&tag, policy)));
    }
    if let Some(sender) = sender {
        fields::add(event, ecs::LOG_SOURCE_ADDRESS, &sender.to_string());
    }
    for (field, text) in [(ecs::HOST_NAME, host), (ecs::LOG_FILE_PATH, file)] {
        if event.get(field).is_none() {
            add_some(event, field, text.map(|text| protected(&text, policy)).as_deref());
        }
    }
    if let Some(at) = time.filter(|_| event.header.flags.has(Flags::NO_TIME)) {
        time::judge(&mut event.header, Some(SourceTime { at, completed: false }));
    }
}

/// A sender may put anything anywhere.
fn protected(text: &str, policy: &Policy) -> String {
    let bytes = Bytes::copy_from_slice(text.as_bytes());
    let (bytes, _) = policy.apply(SourceType::Syslog, bytes, false);
    String::from_utf8_lossy(&bytes).into_owned()
}
