//! The day while it is being written: everybody adds what they do, in any order.

use crate::{Cast, Offset, Story, Topic, random::Random};
use custos_event::Timestamp;

/// One event as its source ships it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub topic: Topic,
    pub offset: Offset,
    /// The time that stands in the line.
    pub time: Timestamp,
    /// The line, without its end.
    pub line: String,
    /// The attack that this event is a part of; shippers never tell.
    pub story: Option<Story>,
}

/// A day in the making.
pub(crate) struct Script {
    pub(crate) random: Random,
    begin: Timestamp,
    story: Option<Story>,
    events: Vec<Event>,
}

impl Script {
    pub(crate) fn new(seed: u64, begin: Timestamp) -> Self {
        Self { random: Random::new(seed), begin, story: None, events: Vec::new() }
    }

    /// The instant of an offset.
    pub(crate) fn time(&self, offset: Offset) -> Timestamp {
        Timestamp(self.begin.0.saturating_add(Timestamp::from_millis(offset.0).0))
    }

    /// Adds what `topic` says at `offset`; `line` is given that instant.
    pub(crate) fn add(
        &mut self,
        topic: Topic,
        offset: Offset,
        line: impl FnOnce(Timestamp) -> String,
    ) {
        let time = self.time(offset);
        self.events.push(Event { topic, offset, time, line: line(time), story: self.story });
    }

    /// Everything that `tell` adds is a part of `story`. Each story draws from a sequence of its own, so that
    /// a change of one leaves the others as they are.
    pub(crate) fn tell(&mut self, story: Story, cast: &Cast) {
        let aside = self.random.clone();
        self.random = Random::new(cast.seed() ^ story.salt());
        self.story = Some(story);
        story.tell(self, cast);
        self.story = None;
        self.random = aside;
    }

    /// The events in the order in which they happened.
    pub(crate) fn finish(mut self) -> Vec<Event> {
        // Stable: what was added first comes first among the events of one instant.
        self.events.sort_by_key(|event| event.offset);
        self.events
    }
}
