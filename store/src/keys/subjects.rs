//! The keys of people, and which value is whose: `keys/subjects` (FORMAT.md §8). A person's fields are sealed
//! under their own key; a destroyed key leaves what was sealed under it unreadable for ever.
//!
//! New rows wait in memory until the log's writer asks for them to be durable, so that a batch of new
//! people costs one sync. Destroying rewrites the file under a new key of its own: neither an old copy of
//! the file nor a leftover block on the disk opens under what the keyring then holds.

use super::sealed::{self, Ref, Token};
use crate::{
    crypt::{self, KeyBytes, MasterKey, WRAPPED_BYTES},
    disk::Disk,
    error::StoreError,
};
use custos_event::Private;
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

const MAGIC: &[u8; 8] = b"CUSTOSUB";
const VERSION: u16 = 1;
pub(super) const HEADER_BYTES: usize = 32;
/// Kind, name, wrapped key, CRC.
const PERSON_BYTES: usize = 1 + 16 + WRAPPED_BYTES + 4;
/// Kind, value, name, token, CRC.
const VALUE_BYTES: usize = 1 + 16 + 16 + 16 + 4;
const PERSON: u8 = 1;
const VALUE: u8 = 2;

/// A million people: 85 MB of file, some 100 MB of memory, rewritten in about 3 s when one is erased.
const PEOPLE_MAX: usize = 1_000_000;
/// So many (value, person) pairs can be searched for: 53 MB of file, some 100 MB of memory. A value beyond
/// it is sealed all the same, and is not found by equality.
const VALUES_MAX: usize = 1_000_000;

/// Keyed hash of a person's name.
pub(super) type Name = [u8; 16];
/// Keyed hash of a value.
pub(super) type ValueHash = [u8; 16];

pub(super) struct Subjects {
    disk: Disk,
    path: PathBuf,
    generation: u64,
    /// Wraps the people's keys; itself in the keyring.
    own: MasterKey,
    people: HashMap<Name, Private<KeyBytes>>,
    by_ref: HashMap<Ref, Name>,
    values: HashMap<ValueHash, Vec<(Name, Token)>>,
    pairs: usize,
    /// Rows that are not on the disk yet.
    pending: Vec<u8>,
    /// The file's end is in doubt: the next writing makes it anew.
    in_doubt: bool,
}

impl Subjects {
    /// An empty file of the first generation, on the disk before its key is in the keyring.
    pub(super) fn create(disk: &Disk, path: &Path, own: KeyBytes) -> Result<Self, StoreError> {
        let mut made = Self::empty(disk, path, 1, own);
        made.write_whole()?;
        Ok(made)
    }

    fn empty(disk: &Disk, path: &Path, generation: u64, own: KeyBytes) -> Self {
        Self {
            disk: disk.clone(),
            path: path.into(),
            generation,
            own: MasterKey::new(own),
            people: HashMap::new(),
            by_ref: HashMap::new(),
            values: HashMap::new(),
            pairs: 0,
            pending: Vec::new(),
            in_doubt: false,
        }
    }

    /// Reads the file; `own` gives the key of a generation.
    pub(super) fn load(
        disk: &Disk,
        path: &Path,
        own: impl FnOnce(u64) -> Result<Option<KeyBytes>, StoreError>,
    ) -> Result<Self, StoreError> {
        let bytes = disk.read(path)?.ok_or_else(|| StoreError::KeyMissing {
            path: path.into(),
            reason: "there is no such file".into(),
        })?;
        let generation = generation(&bytes, path)?;
        let own = own(generation)?.ok_or_else(|| {
            StoreError::damaged(path, format!("the keyring has no key of generation {generation}"))
        })?;
        let mut read = Self::empty(disk, path, generation, own);
        let lost = read.take_rows(bytes.get(HEADER_BYTES..).unwrap_or_default())?;
        if lost > 0 {
            // The end of an append that was broken off, or damage: what was sealed under such keys is lost.
            tracing::error!(path = %path.display(), bytes = lost, "some rows do not read");
            read.in_doubt = true;
        }
        Ok(read)
    }

    /// Takes every row that holds; how many bytes are of none.
    fn take_rows(&mut self, mut rest: &[u8]) -> Result<usize, StoreError> {
        let mut lost = 0;
        while !rest.is_empty() {
            let size = row_bytes(rest).unwrap_or(0);
            let Some((row, after)) = rest.split_at_checked(size).filter(|(row, _)| holds(row))
            else {
                lost += 1;
                rest = rest.get(1..).unwrap_or_default();
                continue;
            };
            self.take_row(row)?;
            rest = after;
        }
        Ok(lost)
    }

    fn take_row(&mut self, row: &[u8]) -> Result<(), StoreError> {
        let (kind, body) = row.split_first().unwrap_or((&0, &[]));
        let (head, body) = body.split_at_checked(16).unwrap_or_default();
        let head: [u8; 16] = head.try_into().unwrap_or_default();
        if *kind == PERSON {
            let wrapped: Option<[u8; WRAPPED_BYTES]> =
                body.get(..WRAPPED_BYTES).and_then(|wrapped| wrapped.try_into().ok());
            let key = wrapped.and_then(|wrapped| self.own.unwrap(&wrapped, &head).ok());
            let key =
                key.ok_or_else(|| StoreError::damaged(&self.path, "a key does not decrypt"))?;
            self.insert(head, key);
        } else {
            let (name, token) = body.split_at_checked(16).unwrap_or_default();
            let name = name.try_into().unwrap_or_default();
            let token = token.get(..16).and_then(|token| token.try_into().ok());
            self.pair(head, name, token.unwrap_or_default());
        }
        Ok(())
    }

    fn insert(&mut self, name: Name, key: KeyBytes) {
        self.by_ref.insert(sealed::reference(&key), name);
        self.people.insert(name, Private::new(key));
    }

    /// True if it is new and found room.
    fn pair(&mut self, value: ValueHash, name: Name, token: Token) -> bool {
        let pairs = self.values.entry(value).or_default();
        if pairs.contains(&(name, token)) || self.pairs >= VALUES_MAX {
            return false;
        }
        pairs.push((name, token));
        self.pairs += 1;
        if self.pairs == VALUES_MAX {
            tracing::error!(
                limit = VALUES_MAX,
                "further personal values will not be found by search"
            );
        }
        true
    }

    /// The person's key, made at first use.
    pub(super) fn key(&mut self, name: Name) -> Result<KeyBytes, StoreError> {
        if let Some(key) = self.people.get(&name) {
            return Ok(*key.reveal());
        }
        if self.people.len() >= PEOPLE_MAX {
            let reason = format!("it holds {PEOPLE_MAX} people, the most it may");
            return Err(StoreError::damaged(&self.path, reason));
        }
        let key = crypt::random()?;
        let row = self.person_row(name, &key)?;
        self.pending.extend_from_slice(&row);
        self.insert(name, key);
        Ok(key)
    }

    /// Remembers that the value is this person's.
    pub(super) fn add_value(&mut self, value: ValueHash, name: Name, token: Token) {
        if self.pair(value, name, token) {
            self.pending.extend_from_slice(&value_row(value, name, token));
        }
    }

    pub(super) fn present(&self, name: Name) -> Option<&KeyBytes> {
        self.people.get(&name).map(Private::reveal)
    }

    pub(super) fn of_ref(&self, reference: Ref) -> Option<&KeyBytes> {
        self.present(*self.by_ref.get(&reference)?)
    }

    /// Whose the value is, and the tokens it has there.
    pub(super) fn of_value(&self, value: ValueHash) -> impl Iterator<Item = (Token, Ref)> {
        let pairs = self.values.get(&value).into_iter().flatten();
        pairs.filter_map(|(name, token)| Some((*token, sealed::reference(self.present(*name)?))))
    }

    pub(super) fn len(&self) -> usize {
        self.people.len()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    pub(super) fn people(&self) -> impl Iterator<Item = (&Name, &KeyBytes)> {
        self.people.iter().map(|(name, key)| (name, key.reveal()))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (ValueHash, Name, Token)> {
        let of = |(value, pairs): (&ValueHash, &Vec<(Name, Token)>)| {
            let value = *value;
            pairs.clone().into_iter().map(move |(name, token)| (value, name, token))
        };
        self.values.iter().flat_map(of)
    }

    /// Everything that was given out is on the disk when this returns.
    pub(super) fn persist(&mut self) -> Result<(), StoreError> {
        if self.in_doubt {
            return self.write_whole();
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.in_doubt = true;
        self.disk.append(&self.path, &self.pending)?;
        self.in_doubt = false;
        self.pending.clear();
        Ok(())
    }

    /// The same people less one, under the next generation's key. The file is not written yet.
    pub(super) fn without(&self, name: Name, own: KeyBytes) -> Self {
        let mut next = Self::empty(&self.disk, &self.path, self.generation + 1, own);
        for (other, key) in self.people().filter(|(other, _)| **other != name) {
            next.insert(*other, *key);
        }
        for (value, owner, token) in self.pairs().filter(|(_, owner, _)| *owner != name) {
            next.pair(value, owner, token);
        }
        next
    }

    /// Takes in what a backup holds, for a file that is written afterwards.
    pub(super) fn fill(
        &mut self,
        people: impl Iterator<Item = (Name, KeyBytes)>,
        pairs: impl Iterator<Item = (ValueHash, Name, Token)>,
    ) {
        people.for_each(|(name, key)| self.insert(name, key));
        pairs.for_each(|(value, name, token)| {
            self.pair(value, name, token);
        });
    }

    pub(super) fn write_whole(&mut self) -> Result<(), StoreError> {
        let mut bytes = Vec::with_capacity(
            HEADER_BYTES + self.people.len() * PERSON_BYTES + self.pairs * VALUE_BYTES,
        );
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 6]);
        bytes.extend_from_slice(&self.generation.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        for (name, key) in self.people() {
            bytes.extend_from_slice(&self.person_row(*name, key)?);
        }
        for (value, name, token) in self.pairs() {
            bytes.extend_from_slice(&value_row(value, name, token));
        }
        self.disk.replace(&self.path, &bytes)?;
        self.in_doubt = false;
        self.pending.clear();
        Ok(())
    }

    fn person_row(&self, name: Name, key: &KeyBytes) -> Result<Vec<u8>, StoreError> {
        let wrapped = self.own.wrap(key, &name, crypt::random()?);
        let wrapped =
            wrapped.map_err(|_| StoreError::damaged(&self.path, "a key does not encrypt"))?;
        Ok(closed([&[PERSON], name.as_slice(), &wrapped].concat()))
    }
}

fn value_row(value: ValueHash, name: Name, token: Token) -> Vec<u8> {
    closed([&[VALUE], value.as_slice(), &name, &token].concat())
}

fn closed(mut row: Vec<u8>) -> Vec<u8> {
    row.extend_from_slice(&crc32c::crc32c(&row).to_le_bytes());
    row
}

fn row_bytes(rest: &[u8]) -> Option<usize> {
    match *rest.first()? {
        PERSON => Some(PERSON_BYTES),
        VALUE => Some(VALUE_BYTES),
        _ => None,
    }
}

fn holds(row: &[u8]) -> bool {
    let Some((body, crc)) = row.split_last_chunk::<4>() else { return false };
    !body.is_empty() && crc32c::crc32c(body) == u32::from_le_bytes(*crc)
}

/// The generation that a file says it is of.
fn generation(bytes: &[u8], path: &Path) -> Result<u64, StoreError> {
    let damaged = || StoreError::damaged(path, "its head does not read");
    let head = bytes.get(..HEADER_BYTES).filter(|head| holds(head)).ok_or_else(damaged)?;
    let rest = head.strip_prefix(MAGIC).ok_or_else(damaged)?;
    let version = rest.first_chunk().map_or(0, |bytes| u16::from_le_bytes(*bytes));
    if version > VERSION {
        let (found, reads) = (version.into(), VERSION.into());
        return Err(StoreError::Newer { path: path.into(), found, reads });
    }
    let generation = rest.get(8..16).and_then(|bytes| bytes.try_into().ok());
    Ok(generation.map_or(0, u64::from_le_bytes))
}
