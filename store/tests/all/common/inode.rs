//! One file of the disk in memory, and what a loss of power makes of it.

use super::Dice;

/// What a disk writes as one.
const SECTOR_BYTES: usize = 512;

/// A file's bytes as processes see them and as they lie on the disk. Behind `bytes` come zeros up to `len`.
#[derive(Clone, Default)]
pub struct Inode {
    pub bytes: Vec<u8>,
    pub len: usize,
    stored: Vec<u8>,
    stored_len: usize,
    /// What a sync owes.
    pub dirty: Vec<(usize, usize)>,
}

fn put(bytes: &mut Vec<u8>, at: usize, new: &[u8]) {
    if bytes.len() < at + new.len() {
        bytes.resize(at + new.len(), 0);
    }
    bytes[at..at + new.len()].copy_from_slice(new);
}

impl Inode {
    pub fn write(&mut self, at: usize, new: &[u8]) {
        put(&mut self.bytes, at, new);
        self.len = self.len.max(at + new.len());
        self.dirty.push((at, at + new.len()));
    }

    pub fn set_len(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.len = len;
    }

    pub fn sync(&mut self) {
        for (from, to) in std::mem::take(&mut self.dirty) {
            let to = to.min(self.bytes.len());
            if from < to {
                let new = self.bytes[from..to].to_vec();
                put(&mut self.stored, from, &new);
            }
        }
        // A hole is zeros, whatever lay there before.
        self.stored.truncate(self.bytes.len());
        self.stored_len = self.len;
    }

    /// What is there when the power comes back: each unsynced sector old, new, zeros or garbage.
    pub fn after_power_loss(mut self, mood: Mood, dice: &mut Dice) -> Self {
        if mood.keeps(dice) {
            self.stored_len = self.len;
            self.stored.truncate(self.len);
        }
        for (from, to) in std::mem::take(&mut self.dirty) {
            let mut at = from;
            while at < to {
                let end = to.min((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(self.bytes.len());
                if at >= end {
                    break;
                }
                let mut piece = self.bytes[at..end].to_vec();
                match mood.fate(dice) {
                    Fate::Old => piece.clear(),
                    Fate::New => {}
                    Fate::Zeros => piece.fill(0),
                    Fate::Garbage => piece.iter_mut().for_each(|byte| *byte = dice.byte()),
                }
                put(&mut self.stored, at, &piece);
                at = end;
            }
        }
        self.stored.truncate(self.stored_len);
        Self {
            bytes: self.stored.clone(),
            len: self.stored_len,
            stored: self.stored,
            stored_len: self.stored_len,
            dirty: Vec::new(),
        }
    }
}

/// How a loss of power treats what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing of it is there.
    Drops,
    /// All of it is there, as after the mere death of a process.
    Keeps,
    Garbles,
}

enum Fate {
    Old,
    New,
    Zeros,
    Garbage,
}

impl Mood {
    pub fn any(dice: &mut Dice) -> Self {
        [Self::Drops, Self::Garbles, Self::Garbles, Self::Garbles, Self::Keeps][dice.roll(5)]
    }

    pub fn keeps(self, dice: &mut Dice) -> bool {
        match self {
            Self::Drops => false,
            Self::Keeps => true,
            Self::Garbles => dice.roll(2) == 0,
        }
    }

    fn fate(self, dice: &mut Dice) -> Fate {
        match (self, dice.roll(4)) {
            (Self::Drops, _) | (Self::Garbles, 0) => Fate::Old,
            (Self::Keeps, _) | (Self::Garbles, 1) => Fate::New,
            (Self::Garbles, 2) => Fate::Zeros,
            (Self::Garbles, _) => Fate::Garbage,
        }
    }
}
