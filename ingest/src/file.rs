//! Files and standard input become units: one line, one event. Gzip is told by its first bytes.

use crate::limit::Gathered;
use bytes::Bytes;
use custos_event::parsed::Whole;
use flate2::bufread::MultiGzDecoder;
use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::Path,
    rc::Rc,
};

/// 256 KiB: a disk's read-ahead is not larger, and a line of the greatest length fits.
const READ_BYTES: usize = 256 << 10;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Counted from 1; blank lines are no units but count.
    pub line: u64,
    /// Without its line end. Of a line over the limit only the beginning.
    pub bytes: Bytes,
    /// Set where `bytes` is only the beginning.
    pub whole: Option<Whole>,
}

/// Why a file could not be read to its end. What came before was intact.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error(
        "gzip data breaks off at byte {at}, in line {line}: the lines before it are intact; fetch the \
         file again, or see what 'gzip -t' says"
    )]
    Truncated { at: u64, line: u64 },
    #[error(
        "gzip data is damaged near byte {at}, in line {line}: the lines before it are intact; fetch the \
         file again, or see what 'gzip -t' says"
    )]
    Damaged {
        at: u64,
        line: u64,
        #[source]
        source: io::Error,
    },
    #[error("reading stopped at byte {at}, in line {line}: the lines before it are intact")]
    Read {
        at: u64,
        line: u64,
        #[source]
        source: io::Error,
    },
}

/// The units of the file at `path`; `-` is standard input.
pub fn open(path: &Path) -> io::Result<Units> {
    if path.as_os_str() == "-" {
        return units(io::stdin());
    }
    units(File::open(path)?)
}

/// The units of what `from` gives, inflated if it is gzip (also of several members).
pub fn units(from: impl Read + 'static) -> io::Result<Units> {
    let taken = Rc::new(Cell::new(0));
    let counted = Counted { from, taken: Rc::clone(&taken) };
    let mut compressed = BufReader::with_capacity(READ_BYTES, counted);
    let is_gzip = begins_with(&mut compressed, &GZIP_MAGIC)?;
    let mut text: Box<dyn BufRead> = if is_gzip {
        Box::new(BufReader::with_capacity(READ_BYTES, MultiGzDecoder::new(compressed)))
    } else {
        Box::new(compressed)
    };
    if !is_gzip && begins_with(&mut text, UTF8_BOM)? {
        text.consume(UTF8_BOM.len());
    }
    Ok(Units { text, taken, is_gzip, line: 0, gathered: Gathered::default(), ended: false })
}

/// Whether the text begins so; a first read may bring less than the whole of a short beginning.
fn begins_with(text: &mut impl BufRead, beginning: &[u8]) -> io::Result<bool> {
    Ok(text.fill_buf()?.starts_with(beginning))
}

/// Counts what was taken from the file itself, compressed as it may be.
struct Counted<R> {
    from: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(into)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

/// Walks over the lines of a file; ends after an error.
pub struct Units {
    text: Box<dyn BufRead>,
    taken: Rc<Cell<u64>>,
    is_gzip: bool,
    line: u64,
    gathered: Gathered,
    ended: bool,
}

impl Iterator for Units {
    type Item = Result<Unit, FileError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.line += 1;
            match self.read_line() {
                Ok(Line::End) => break,
                Ok(Line::Read) => {
                    if let Some((bytes, whole)) = self.gathered.finish() {
                        return Some(Ok(Unit { line: self.line, bytes, whole }));
                    }
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(self.error(error)));
                }
            }
        }
        self.ended = true;
        None
    }
}

enum Line {
    End,
    /// What was gathered is a line.
    Read,
}

impl Units {
    fn read_line(&mut self) -> io::Result<Line> {
        self.gathered.clear();
        let mut is_empty = true;
        loop {
            let read = match self.text.fill_buf() {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if read.is_empty() {
                return Ok(if is_empty { Line::End } else { Line::Read });
            }
            is_empty = false;
            let end = memchr::memchr(b'\n', read);
            let piece = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
            self.gathered.add(piece);
            let taken = piece.len() + usize::from(end.is_some());
            self.text.consume(taken);
            if end.is_some() {
                return Ok(Line::Read);
            }
        }
    }

    fn error(&self, source: io::Error) -> FileError {
        let (at, line) = (self.taken.get(), self.line);
        let kind = source.kind();
        if self.is_gzip && kind == io::ErrorKind::UnexpectedEof {
            FileError::Truncated { at, line }
        } else if self.is_gzip
            && matches!(kind, io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
        {
            FileError::Damaged { at, line, source }
        } else {
            FileError::Read { at, line, source }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limit::{EVENT_BYTES_MAX, MARGIN_BYTES};
    use flate2::{Compression, write::GzEncoder};
    use sha2::{Digest as _, Sha256};
    use std::io::{Cursor, Write as _};

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn read(bytes: impl Into<Vec<u8>>) -> Vec<Result<Unit, FileError>> {
        units(Cursor::new(bytes.into())).unwrap().collect()
    }

    fn lines(bytes: impl Into<Vec<u8>>) -> Vec<(u64, String)> {
        let text = |unit: Unit| (unit.line, String::from_utf8(unit.bytes.to_vec()).unwrap());
        read(bytes).into_iter().map(|unit| text(unit.unwrap())).collect()
    }

    #[test]
    fn blank_lines_are_no_units_but_count() {
        let expected = vec![(1, "a".into()), (4, " b".into()), (6, "c".into())];
        for text in
            ["a\n\n  \n b\n\t\nc", "a\r\n\r\n\r\n b\r\n\r\nc\r\n", "\u{feff}a\n\n\n b\n\nc\n\n"]
        {
            assert_eq!(lines(text), expected, "{text:?}");
        }
        assert_eq!(lines(""), []);
    }

    #[test]
    fn gzip_of_several_members_is_one_text() {
        let mut bytes = gzip(b"a\nb");
        bytes.extend(gzip(b"c\nd\n"));
        let expected = [(1, "a"), (2, "bc"), (3, "d")].map(|(line, text)| (line, text.to_owned()));
        assert_eq!(lines(bytes), expected);
    }

    #[test]
    fn a_cut_gzip_gives_its_intact_lines_and_then_says_where_it_ends() {
        let lines: Vec<_> = (0..20_000).map(|n| format!("line {n} {}", n * 7_919)).collect();
        let text = lines.join("\n");
        let whole = gzip(text.as_bytes());
        let cut = whole.len() / 2;
        let mut got = read(&whole[..cut]);
        let error = got.pop().unwrap().unwrap_err().to_string();
        assert!(
            error.contains(&format!("breaks off at byte {cut}, in line {}", got.len() + 1)),
            "{error}"
        );
        assert!(!got.is_empty());
        for (unit, line) in got.iter().zip(text.lines()) {
            assert_eq!(&unit.as_ref().unwrap().bytes[..], line.as_bytes());
        }
    }

    #[test]
    fn a_damaged_gzip_is_told_from_a_cut_one() {
        let mut bytes = gzip(b"a\n");
        bytes.extend(b"this is not gzip at all");
        let error = read(bytes).pop().unwrap().unwrap_err();
        assert!(matches!(error, FileError::Damaged { .. }), "{error}");
    }

    #[test]
    fn a_line_over_the_limit_is_bounded_and_its_digest_is_of_the_whole() {
        let long = vec![b'x'; EVENT_BYTES_MAX * 3];
        let exact = vec![b'y'; EVENT_BYTES_MAX];
        let text = [&long[..], b"\n", &exact[..], b"\nshort"].concat();
        let got: Vec<Unit> = read(text).into_iter().map(Result::unwrap).collect();
        let digest = Sha256::digest(&long).into();
        assert_eq!(got[0].whole, Some(Whole { bytes: long.len() as u64, sha256: digest }));
        assert_eq!(got[0].bytes.len(), EVENT_BYTES_MAX + MARGIN_BYTES);
        assert_eq!((got[1].bytes.len(), &got[1].whole), (EVENT_BYTES_MAX, &None));
        assert_eq!((got[2].line, &got[2].bytes[..]), (3, &b"short"[..]));
    }
}
