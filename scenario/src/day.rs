//! The written day: cast, background, near misses, and six attacks.

use crate::{
    Cast, Event, Offset, Story, Topic, almost, form::payment, machines, office, script::Script,
};
use custos_event::Timestamp;

/// One day, in the order in which it happened.
#[derive(Debug)]
pub struct Day {
    events: Vec<Event>,
}

impl Day {
    /// The day of `seed`, moved so that its last event happens at `end`.
    pub fn new(seed: u64, end: Timestamp) -> Self {
        let begin = Timestamp(end.0.saturating_sub(Timestamp::from_millis(Offset::END.0).0));
        let cast = Cast::new(seed);
        let mut script = Script::new(seed, begin);
        office::play(&mut script, &cast);
        machines::play(&mut script, &cast);
        almost::play(&mut script, &cast);
        for story in Story::ALL {
            script.tell(story, &cast);
        }
        let last = payment::ordinary(&mut script.random, &cast);
        script.add(Topic::Payments, Offset::END, |time| last.line(time));
        Self { events: script.finish() }
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Event> {
        self.events.iter()
    }
}

impl IntoIterator for Day {
    type Item = Event;
    type IntoIter = std::vec::IntoIter<Event>;

    fn into_iter(self) -> Self::IntoIter {
        self.events.into_iter()
    }
}

#[cfg(test)]
mod tests;
