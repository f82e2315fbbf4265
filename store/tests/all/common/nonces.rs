//! Which bytes were ever encrypted under which key and nonce, as they were written to the disk.

use std::collections::BTreeMap;

/// The data key as its segment's header has it (wrapped, under a salt of its own), and the counter.
type KeyAndNonce = (Vec<u8>, u64);

#[derive(Default)]
pub struct Nonces {
    ciphertexts: BTreeMap<KeyAndNonce, Vec<u8>>,
    /// Frames written under a key and nonce that other bytes had been written under.
    pub doubled: u64,
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

impl Nonces {
    /// How many pairs of key and nonce were used.
    pub fn pairs(&self) -> usize {
        self.ciphertexts.len()
    }

    /// Takes in what is written to a file whose bytes, from its beginning, are `file`.
    pub fn see(&mut self, file: &[u8], written: &[u8]) {
        let Some(head) = number(file, 16).filter(|_| file.starts_with(b"CUSTOSEG")) else { return };
        let Some(key) = head.checked_sub(68).and_then(|at| file.get(at..at + 64)) else { return };
        let key = key.to_vec();
        let mut rest = written;
        if written.starts_with(b"CUSTOSEG") {
            rest = written.get(head..).unwrap_or_default();
        }
        while let Some(length) = self.frame(&key, rest) {
            rest = rest.get(length..).unwrap_or_default();
        }
    }

    fn frame(&mut self, key: &[u8], bytes: &[u8]) -> Option<usize> {
        if !bytes.starts_with(b"CuFr") {
            return None;
        }
        let (head, body) = (number(bytes, 12)?, number(bytes, 16)?);
        let counter = u64::from_le_bytes(bytes.get(32..40)?.try_into().ok()?);
        let ciphertext = bytes.get(head + 4..head + 4 + body)?.to_vec();
        let before = self.ciphertexts.insert((key.to_vec(), counter), ciphertext);
        let same = |before| self.ciphertexts.get(&(key.to_vec(), counter)) == Some(&before);
        self.doubled += u64::from(!before.is_none_or(same));
        Some(head + body + 9)
    }
}
