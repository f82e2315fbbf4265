//! Events from the log, by place.

use crate::{SearchError, candidates::Candidate};
use custos_event::{ParsedEvent, Parser, Position, Seq, commit::LogReader, record};

/// Up to so many events between two wanted ones are read over rather than asked for anew: they mostly lie
/// in the same 64 KiB block, which is unpacked whole anyway.
const READ_OVER_MAX: u64 = 32;

/// Reads and decodes.
pub(crate) struct Fetcher<'a> {
    log: &'a dyn LogReader,
    parser: Parser,
    pub(crate) read: u64,
}

impl<'a> Fetcher<'a> {
    pub(crate) fn new(log: &'a dyn LogReader, parser: Parser) -> Self {
        Self { log, parser, read: 0 }
    }

    /// Calls `each` with those of `wanted`, sorted by place, that the log still has.
    pub(crate) fn read(
        &mut self,
        wanted: &[Candidate],
        each: &mut dyn FnMut(Position, ParsedEvent),
    ) -> Result<(), SearchError> {
        for run in wanted.chunk_by(|a, b| follows(a.position(), b.position())) {
            self.read_run(run, each)?;
        }
        Ok(())
    }

    /// One stretch of one partition.
    fn read_run(
        &mut self,
        run: &[Candidate],
        each: &mut dyn FnMut(Position, ParsedEvent),
    ) -> Result<(), SearchError> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(()) };
        let mut wanted = run.iter().map(|candidate| candidate.seq).peekable();
        let (parser, read) = (&mut self.parser, &mut self.read);
        let mut failed = None;
        let mut take = |seq: Seq, bytes: bytes::Bytes| {
            while wanted.next_if(|next| *next < seq).is_some() {}
            if wanted.next_if_eq(&seq).is_some() {
                *read += 1;
                let position = Position { seq, ..first.position() };
                match record::decode(&bytes, parser) {
                    Ok(event) => each(position, event),
                    Err(source) => failed = Some(SearchError::Record { position, source }),
                }
            }
            failed.is_none()
        };
        self.log.scan(first.log, first.partition, first.seq, last.seq.plus(1), &mut take)?;
        failed.map_or(Ok(()), Err)
    }
}

fn follows(a: Position, b: Position) -> bool {
    (a.log, a.partition) == (b.log, b.partition) && b.seq.0 - a.seq.0 <= READ_OVER_MAX
}
