//! What the keyring does with people's keys: seals their fields, finds whose a value is, destroys a key.

use super::{
    Keyring,
    ring::{Ring, SUBJECTS, TOKEN},
    sealed::{self, Parsed},
    subjects::{Name, Subjects},
};
use crate::{
    crypt::{self, KeyBytes, MasterKey, hex, hmac, unhex},
    disk::Disk,
    error::StoreError,
};
use custos_event::Private;
use std::{
    path::{Path, PathBuf},
    sync::{MutexGuard, PoisonError},
};

/// The token key that values are hashed under.
const LOOKUP: &str = "subject values";

/// Open, and with what it takes to look a value up.
pub(super) struct People {
    pub(super) subjects: Subjects,
    lookup: KeyBytes,
}

/// A key that was destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erased {
    /// Names the key in facts; a later key of the same person has another.
    pub key: String,
}

impl People {
    /// None before the first person.
    pub(super) fn load(
        disk: &Disk,
        folder: &Path,
        ring: &Ring,
        master: &MasterKey,
    ) -> Result<Option<Self>, StoreError> {
        let path = folder.join("subjects");
        let keyring = folder.join("keyring");
        let Some(lookup) = ring.get(TOKEN, LOOKUP) else { return Ok(None) };
        if ring.of_kind(SUBJECTS).next().is_none() {
            return Ok(None);
        }
        let lookup = lookup.open(master, &keyring)?;
        let own = |generation: u64| {
            let key = ring.get(SUBJECTS, &generation.to_string());
            key.map(|key| key.open(master, &keyring)).transpose()
        };
        Ok(Some(Self { subjects: Subjects::load(disk, &path, own)?, lookup }))
    }

    pub(super) fn new(subjects: Subjects, lookup: KeyBytes) -> Self {
        Self { subjects, lookup }
    }

    fn value(&self, value: &str) -> [u8; 16] {
        // Searches ask in lower case, character by character.
        let folded: String = value.chars().flat_map(char::to_lowercase).collect();
        first(hmac(&self.lookup, b"custos value 1", folded.as_bytes()))
    }
}

fn first(whole: KeyBytes) -> [u8; 16] {
    whole.first_chunk().copied().unwrap_or_default()
}

pub(super) fn file(keyring: &Path) -> PathBuf {
    keyring.with_file_name("subjects")
}

/// People's fields.
impl Keyring {
    /// A person's name as facts and the keyring have it: a keyed hash, 32 hex digits.
    pub fn subject(&self, subject: &str) -> String {
        hex(&self.name(subject))
    }

    fn name(&self, subject: &str) -> Name {
        // Under the signing key, which is never changed: master keys come and go.
        first(hmac(&self.signing.to_bytes(), b"custos subject 1", subject.as_bytes()))
    }

    /// The text that stands for a person's value in a record. The key is durable before the log holds it.
    pub fn seal_field(
        &self,
        subject: &str,
        field: &str,
        value: &str,
    ) -> Result<String, StoreError> {
        let name = self.name(subject);
        let mut people = self.people();
        if people.is_none() {
            *people = Some(self.first_people()?);
        }
        let Some(people) = people.as_mut() else { return Err(StoreError::Closed) };
        let key = people.subjects.key(name)?;
        let (token, text) = sealed::seal(&key, field, value)
            .map_err(|_| StoreError::damaged(&self.path, "a value does not encrypt"))?;
        let value = people.value(value);
        people.subjects.add_value(value, name, token);
        Ok(text)
    }

    /// What is sealed in a text; `None` if its key is gone or it is no sealed value.
    pub fn open_field(&self, sealed: &str) -> Option<Private<String>> {
        let parsed = Parsed::new(sealed)?;
        let key = *self.people().as_ref()?.subjects.of_ref(parsed.reference)?;
        parsed.open(&key)
    }

    /// What the sealed texts of this value begin with: one for each person and field that it was sealed for.
    pub fn find_value(&self, value: &str) -> Vec<String> {
        let people = self.people();
        let Some(people) = people.as_ref() else { return Vec::new() };
        let found = people.subjects.of_value(people.value(value));
        found.map(|(token, reference)| sealed::stem(token, reference)).collect()
    }

    /// How many people have a key.
    pub fn subjects_count(&self) -> usize {
        self.people().as_ref().map_or(0, |people| people.subjects.len())
    }

    /// The present key of a person (as [`Keyring::subject`] has it), by its name in facts.
    pub fn subject_key_id(&self, subject: &str) -> Option<String> {
        let name = unhex(subject)?;
        self.people().as_ref()?.subjects.present(name).map(sealed::key_id)
    }

    /// Destroys a person's key (`only`: if it is still this one). It is gone from the disk when this
    /// returns, backups of the keyring apart. None if there is none.
    pub fn erase_subject(
        &self,
        subject: &str,
        only: Option<&str>,
    ) -> Result<Option<Erased>, StoreError> {
        let Some(name) = unhex(subject) else { return Ok(None) };
        let mut people = self.people();
        let Some(people) = people.as_mut() else { return Ok(None) };
        let Some(key) = people.subjects.present(name).map(sealed::key_id) else { return Ok(None) };
        if only.is_some_and(|only| only != key) {
            return Ok(None);
        }
        let mut next = self.next_generation(people, name)?;
        next.write_whole()?;
        people.subjects = next;
        self.forget_old(people.subjects.generation())?;
        Ok(Some(Erased { key }))
    }

    /// Step 1 of a destruction: the next file's key is durable. Step 2 writes that file, step 3 drops the
    /// key of the one before.
    fn next_generation(&self, people: &People, without: Name) -> Result<Subjects, StoreError> {
        let own = crypt::random()?;
        let next = people.subjects.without(without, own);
        self.add_key(SUBJECTS, &next.generation().to_string(), &own)?;
        Ok(next)
    }

    /// The bytes of the keyring and of the file of people's keys that it opens, as they fit together.
    pub(crate) fn files(&self) -> Result<[Option<Vec<u8>>; 2], StoreError> {
        // Held: nobody is erased between the two.
        let _people = self.people();
        Ok([self.disk.read(&self.path)?, self.disk.read(&file(&self.path))?])
    }

    fn forget_old(&self, generation: u64) -> Result<(), StoreError> {
        let generation = generation.to_string();
        if self.lock().of_kind(SUBJECTS).all(|key| key.name == generation) {
            return Ok(());
        }
        self.change(|ring| ring.remove(SUBJECTS, |name| name != generation))
    }

    /// Drops keys of other generations, which a crash may have left.
    pub(super) fn forget_generations(&self) -> Result<(), StoreError> {
        let generation = self.people().as_ref().map(|people| people.subjects.generation());
        generation.map_or(Ok(()), |generation| self.forget_old(generation))
    }

    /// Everything that was sealed so far can be opened after a crash. The writer asks before each frame.
    pub(crate) fn persist_subjects(&self) -> Result<(), StoreError> {
        self.people().as_mut().map_or(Ok(()), |people| people.subjects.persist())
    }

    fn first_people(&self) -> Result<People, StoreError> {
        let lookup = *self.get_or_make(TOKEN, LOOKUP)?.reveal();
        let own = crypt::random()?;
        let subjects = Subjects::create(&self.disk, &file(&self.path), own)?;
        self.add_key(SUBJECTS, &subjects.generation().to_string(), &own)?;
        Ok(People::new(subjects, lookup))
    }

    fn add_key(&self, kind: &str, name: &str, key: &KeyBytes) -> Result<(), StoreError> {
        let mut ring = self.lock();
        let mut next = ring.clone();
        next.add(kind, name, key, &self.masters.current, &self.path)?;
        next.write(&self.disk, &self.path, &self.masters.current)?;
        *ring = next;
        Ok(())
    }

    pub(super) fn people(&self) -> MutexGuard<'_, Option<People>> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Keyring) {
        let dir = tempfile::tempdir().unwrap();
        let ring = Keyring::load(&Disk::default(), dir.path(), None, true).unwrap();
        (dir, ring)
    }

    fn again(dir: &tempfile::TempDir) -> Keyring {
        Keyring::load(&Disk::default(), dir.path(), None, false).unwrap()
    }

    fn opened(ring: &Keyring, text: &str) -> Option<String> {
        ring.open_field(text).map(|value| value.reveal().clone())
    }

    #[test]
    fn a_sealed_field_opens_after_a_restart_and_is_found_by_its_value() {
        let (dir, ring) = folder();
        let anna = ring.seal_field("anna", "user.email", "anna@example.org").unwrap();
        let ben = ring.seal_field("ben", "user.email", "ben@example.org").unwrap();
        let same = ring.seal_field("anna", "user.email", "anna@example.org").unwrap();
        assert_eq!(anna, same);
        assert_eq!(opened(&again(&dir), &anna), None, "not durable before it is asked for");
        ring.persist_subjects().unwrap();
        let ring = again(&dir);
        assert_eq!(opened(&ring, &anna).as_deref(), Some("anna@example.org"));
        let found = ring.find_value("anna@example.org");
        assert!(matches!(found.as_slice(), [stem] if anna.starts_with(stem)), "{found:?}");
        assert_eq!(ring.find_value("Anna@Example.org"), found);
        assert!(ring.find_value("anna@example.or").is_empty());
        assert!(!anna.contains("anna") && anna.split('_').nth(2) != ben.split('_').nth(2));
        let bytes = std::fs::read(dir.path().join("keys/subjects")).unwrap();
        assert!(!bytes.windows(4).any(|window| window == b"anna"), "the file names nobody");
    }

    #[test]
    fn an_erased_key_is_gone_and_the_person_may_come_again_under_another() {
        let (dir, ring) = folder();
        let anna = ring.seal_field("anna", "user.email", "anna@example.org").unwrap();
        let ben = ring.seal_field("ben", "user.email", "ben@example.org").unwrap();
        let subject = ring.subject("anna");
        let erased = ring.erase_subject(&subject, None).unwrap().unwrap();
        for ring in [&ring, &again(&dir)] {
            assert_eq!(opened(ring, &anna), None);
            assert_eq!(opened(ring, &ben).as_deref(), Some("ben@example.org"));
            assert!(ring.find_value("anna@example.org").is_empty());
            assert_eq!(ring.erase_subject(&subject, None).unwrap(), None);
        }
        let new = ring.seal_field("anna", "user.email", "anna@example.org").unwrap();
        assert_ne!(new, anna);
        let other = Some(erased.key.as_str());
        assert_eq!(ring.erase_subject(&subject, other).unwrap(), None, "that is a later key");
        assert_eq!(opened(&ring, &new).as_deref(), Some("anna@example.org"));
    }

    #[test]
    fn a_destruction_broken_off_after_any_step_can_be_done_again() {
        for steps in 0..=3 {
            let (dir, ring) = folder();
            let anna = ring.seal_field("anna", "f", "anna@example.org").unwrap();
            let ben = ring.seal_field("ben", "f", "ben@example.org").unwrap();
            ring.persist_subjects().unwrap();
            let old = std::fs::read(dir.path().join("keys/subjects")).unwrap();
            let name = ring.name("anna");
            {
                let mut people = ring.people();
                let people = people.as_mut().unwrap();
                let mut next = (steps >= 1).then(|| ring.next_generation(people, name).unwrap());
                if steps >= 2 {
                    next.as_mut().unwrap().write_whole().unwrap();
                }
                if steps >= 3 {
                    ring.forget_old(next.unwrap().generation()).unwrap();
                }
            }
            let ring = again(&dir);
            ring.settle(None).unwrap();
            assert_eq!(opened(&ring, &anna).is_some(), steps < 2, "after step {steps}");
            ring.erase_subject(&ring.subject("anna"), None).unwrap();
            let ring = again(&dir);
            assert_eq!(opened(&ring, &anna), None);
            assert_eq!(opened(&ring, &ben).as_deref(), Some("ben@example.org"));
            // An old copy of the file does not open under the keyring as it is now.
            std::fs::write(dir.path().join("keys/subjects"), &old).unwrap();
            assert!(
                Keyring::load(&Disk::default(), dir.path(), None, false).is_err(),
                "after step {steps}"
            );
        }
    }

    #[test]
    fn a_torn_end_of_the_file_costs_only_what_was_not_used_yet() {
        let (dir, ring) = folder();
        let ben = ring.seal_field("ben", "f", "ben").unwrap();
        ring.persist_subjects().unwrap();
        let path = dir.path().join("keys/subjects");
        let durable = std::fs::metadata(&path).unwrap().len();
        ring.seal_field("anna", "f", "anna").unwrap();
        ring.persist_subjects().unwrap();
        let whole = std::fs::read(&path).unwrap();
        for cut in usize::try_from(durable).unwrap()..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let ring = again(&dir);
            assert_eq!(opened(&ring, &ben).as_deref(), Some("ben"), "cut at {cut}");
            let cara = ring.seal_field("cara", "f", "cara").unwrap();
            ring.persist_subjects().unwrap();
            assert_eq!(opened(&again(&dir), &cara).as_deref(), Some("cara"), "cut at {cut}");
        }
    }

    /// A row whose checksum does not hold is no row, and what others hold is theirs.
    #[test]
    fn a_changed_byte_costs_its_own_row_alone() {
        let (dir, ring) = folder();
        let sealed = ["anna", "ben", "cara"].map(|n| (n, ring.seal_field(n, "f", n).unwrap()));
        ring.persist_subjects().unwrap();
        let path = dir.path().join("keys/subjects");
        let whole = std::fs::read(&path).unwrap();
        for at in super::super::subjects::HEADER_BYTES..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            std::fs::write(&path, bytes).unwrap();
            let ring = again(&dir);
            let (mut open, mut found) = (0, 0);
            for (name, text) in &sealed {
                let value = opened(&ring, text);
                assert!(value.is_none() || value.as_deref() == Some(*name), "{name} at {at}");
                open += usize::from(value.is_some());
                found += ring.find_value(name).len();
            }
            assert!(open >= 2 && found >= 2 && open + found < 6, "{open} and {found} at {at}");
        }
    }
}
