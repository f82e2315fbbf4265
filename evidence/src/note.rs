//! Signed tree heads in text: C2SP tlog-checkpoint in a C2SP signed note, Ed25519.

use crate::{hex::hex, tree::Hash};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Signature type 1 of a signed note.
const ED25519: u8 = 1;
const SIGNATURE_MARK: &str = "\u{2014} ";

/// What a checkpoint says of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name, which is also the name of the key that signs for it.
    pub origin: String,
    /// How many records the tree has.
    pub size: u64,
    pub root: Hash,
    /// The whole note, signatures and all.
    pub note: String,
}

/// A text that is no checkpoint, or none signed by the key at hand.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum NoteError {
    #[error("is no checkpoint: {0}")]
    Form(&'static str),
    #[error("'{0}' is no public key; expected NAME+HASH+BASE64, as 'custos log key' prints it")]
    Key(String),
    #[error("no given key is that of {0}")]
    UnknownOrigin(String),
    #[error("the signature of {0} is not by the given key")]
    Forged(String),
}

/// Names the log within its node and the node by its key: `custos-1f2e3d4c/telemetry`.
pub fn origin(key: &VerifyingKey, log: &str) -> String {
    let node = hex(Sha256::digest(key.to_bytes()).split_at(4).0);
    format!("custos-{node}/{log}")
}

fn key_hash(name: &str, key: &VerifyingKey) -> [u8; 4] {
    let digest: Hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', ED25519])
        .chain_update(key.to_bytes())
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

/// The key in the text form of signed notes, for the log `name`.
pub fn public_key(name: &str, key: &VerifyingKey) -> String {
    let bytes = [&[ED25519], key.to_bytes().as_slice()].concat();
    format!("{name}+{}+{}", hex(&key_hash(name, key)), BASE64.encode(bytes))
}

pub fn sign(key: &SigningKey, origin: &str, size: u64, root: Hash) -> Checkpoint {
    let body = format!("{origin}\n{size}\n{}\n", BASE64.encode(root));
    let signature = key.sign(body.as_bytes()).to_bytes();
    let signed = [&key_hash(origin, &key.verifying_key()), signature.as_slice()].concat();
    let note = format!("{body}\n{SIGNATURE_MARK}{origin} {}\n", BASE64.encode(signed));
    Checkpoint { origin: origin.into(), size, root, note }
}

/// Public keys by the names they sign for.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<(String, VerifyingKey)>);

impl Keys {
    pub fn new(name: String, key: VerifyingKey) -> Self {
        Self(vec![(name, key)])
    }

    /// One a line; empty lines and lines from `#` on are passed over.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let lines =
            text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(|line| parse_key(line).ok_or_else(|| NoteError::Key(line.into())));
        keys.collect::<Result<_, _>>().map(Self)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names that these keys sign for.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The keys themselves.
    pub fn all(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.0.iter().map(|(_, key)| key)
    }

    fn get(&self, name: &str) -> Option<&VerifyingKey> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, key)| key)
    }
}

fn parse_key(line: &str) -> Option<(String, VerifyingKey)> {
    let (name, rest) = line.split_once('+')?;
    let (hash, bytes) = rest.split_once('+')?;
    let bytes = BASE64.decode(bytes).ok()?;
    let (&ED25519, bytes) = bytes.split_first()? else { return None };
    let key = VerifyingKey::from_bytes(bytes.try_into().ok()?).ok()?;
    (hash == hex(&key_hash(name, &key))).then(|| (name.to_owned(), key))
}

/// Reads the notes in `text`, one after the other.
pub fn parse_all(text: &str) -> Result<Vec<Checkpoint>, NoteError> {
    let mut notes = Vec::new();
    let mut rest = text.trim_start_matches('\n');
    while !rest.is_empty() {
        let (note, after) = cut_note(rest);
        notes.push(parse(note)?);
        rest = after.trim_start_matches('\n');
    }
    Ok(notes)
}

/// Notes of one origin from the front of `text` on, as far as one of `keys` signed them, and whether something
/// else follows: the last one as it was being written when the machine stopped. An error if a good one comes
/// behind that, for then the bad one was whole once.
pub fn parse_kept(
    text: &str,
    origin: &str,
    keys: &Keys,
) -> Result<(Vec<Checkpoint>, bool), NoteError> {
    let read = |text| {
        let (note, after) = cut_note(text);
        let note = parse(note)?;
        note.check(keys).map(|()| (note, after))
    };
    let mut notes = Vec::new();
    let mut rest = text.trim_start_matches('\n');
    while !rest.is_empty() {
        match read(rest) {
            Ok((note, after)) => {
                notes.push(note);
                rest = after.trim_start_matches('\n');
            }
            Err(error) => {
                let later = rest.match_indices(origin).skip_while(|(at, _)| *at == 0);
                let good = |(at, _)| rest.get(at..).is_some_and(|text| read(text).is_ok());
                return if later.into_iter().any(good) { Err(error) } else { Ok((notes, true)) };
            }
        }
    }
    Ok((notes, false))
}

/// Cuts after the signature lines that follow the first empty line.
fn cut_note(text: &str) -> (&str, &str) {
    let Some(blank) = text.find("\n\n") else { return (text, "") };
    let mut end = blank + 2;
    while let Some(tail) = text.get(end..).filter(|tail| tail.starts_with(SIGNATURE_MARK)) {
        end += tail.find('\n').map_or(tail.len(), |at| at + 1);
    }
    text.split_at_checked(end).unwrap_or((text, ""))
}

fn parse(note: &str) -> Result<Checkpoint, NoteError> {
    let (body, signatures) =
        note.split_once("\n\n").ok_or(NoteError::Form("it has no empty line"))?;
    let mut lines = body.lines();
    let origin = lines.next().filter(|line| !line.is_empty());
    let origin = origin.ok_or(NoteError::Form("it has no origin"))?.to_owned();
    let size = lines.next().ok_or(NoteError::Form("it has no size"))?;
    let plain = size == "0" || (!size.starts_with('0') && size.bytes().all(|b| b.is_ascii_digit()));
    let size = size.parse().ok().filter(|_| plain);
    let size = size.ok_or(NoteError::Form("its size is no number"))?;
    let root = lines.next().and_then(|line| BASE64.decode(line).ok());
    let root = root.and_then(|bytes| bytes.try_into().ok());
    let root = root.ok_or(NoteError::Form("its root is no hash in base64"))?;
    if !signatures.starts_with(SIGNATURE_MARK) || !note.ends_with('\n') {
        return Err(NoteError::Form("it is not signed"));
    }
    Ok(Checkpoint { origin, size, root, note: note.to_owned() })
}

impl Checkpoint {
    /// The log's name within its node: `telemetry`.
    pub fn log(&self) -> &str {
        self.origin.split_once('/').map_or("", |(_, log)| log)
    }

    /// Whether the key of this checkpoint's origin, among `keys`, signed it.
    pub fn check(&self, keys: &Keys) -> Result<(), NoteError> {
        let key = keys.get(&self.origin);
        let key = key.ok_or_else(|| NoteError::UnknownOrigin(self.origin.clone()))?;
        let forged = || NoteError::Forged(self.origin.clone());
        let (body, signatures) = self.note.split_once("\n\n").ok_or_else(forged)?;
        let ours = |line: &str| {
            let (name, bytes) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
            let bytes = BASE64.decode(bytes).ok()?;
            let (hash, signature) = bytes.split_at_checked(4)?;
            let known = name == self.origin && hash == key_hash(name, key);
            known.then(|| Signature::from_slice(signature).ok()).flatten()
        };
        let signature = signatures.lines().find_map(ours).ok_or_else(forged)?;
        let body = format!("{body}\n");
        key.verify_strict(body.as_bytes(), &signature).map_err(|_| forged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32])
    }

    #[test]
    fn notes_one_after_the_other_read_back_and_check() {
        let name = origin(&key().verifying_key(), "telemetry");
        let keys = Keys::parse(&public_key(&name, &key().verifying_key())).unwrap();
        let one = sign(&key(), &name, 0, [1; 32]);
        let two = sign(&key(), &name, 20, [2; 32]);
        let text = format!("{}\n{}", one.note, two.note);
        let read = parse_all(&text).unwrap();
        assert_eq!(read, [one, two]);
        assert!(read.iter().all(|note| note.check(&keys).is_ok()));
        let kept = |text: &str| parse_kept(text, &name, &keys);
        assert_eq!(kept(&text).unwrap(), (read.clone(), false));
        for cut in 1..read[1].note.len() {
            if let Some(text) = text.get(..text.len() - cut) {
                assert_eq!(kept(text).unwrap(), (vec![read[0].clone()], true), "cut {cut}");
            }
        }
        // A sector of the last one is zeros; one of the first was changed.
        let zeroed = format!("{}\n{}", read[0].note, read[1].note.replace("custos-", "\0\0\0"));
        assert_eq!(kept(&zeroed).unwrap(), (vec![read[0].clone()], true));
        let changed = text.replacen("\n0\n", "\n1\n", 1);
        assert_eq!(kept(&changed), Err(NoteError::Forged(name.clone())));
    }

    #[test]
    fn a_changed_note_or_another_key_is_seen() {
        let name = origin(&key().verifying_key(), "journal/1");
        let note = sign(&key(), &name, 7, [2; 32]);
        let keys = Keys::parse(&public_key(&name, &key().verifying_key())).unwrap();
        let changed = parse_all(&note.note.replacen("\n7\n", "\n8\n", 1)).unwrap();
        assert_eq!(changed[0].check(&keys), Err(NoteError::Forged(name.clone())));
        let other = SigningKey::from_bytes(&[6; 32]).verifying_key();
        let other = Keys::parse(&public_key(&name, &other)).unwrap();
        assert_eq!(note.check(&other), Err(NoteError::Forged(name.clone())));
        assert_eq!(note.check(&Keys::default()), Err(NoteError::UnknownOrigin(name)));
    }

    #[test]
    fn a_crooked_key_or_note_is_refused_with_the_reason() {
        assert!(Keys::parse("custos+00000000+AAAA").is_err());
        for (text, reason) in [
            ("a", "no empty line"),
            ("a\n\n— a b\n", "no size"),
            ("a\n01\nAA==\n\n— a b\n", "size is no number"),
            ("a\n1\nAA==\n\n— a b\n", "no hash"),
        ] {
            let error = parse_all(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
