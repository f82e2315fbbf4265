//! Formats that a user describes in YAML instead of Rust: `rules/mappings/README.md` is their reference.
//!
//! A file says how a line is recognised ([`marks`]), how it is split into values of its own ([`split`]), which
//! of them is the time ([`clock`]) and what they are in ECS ([`rows`]). [`document`] reads it; a [`Mapper`]
//! is one decoder's means of reading lines by it. Patterns are linear in the line; every count has a limit.

pub mod cases;
mod clock;
mod document;
mod mapper;
mod marks;
mod rows;
mod split;

pub(super) use mapper::Mapper;

use super::{SourceType, source_type::UnknownSourceType};
use clock::Clock;
use custos_event::yaml::{Place, Problem};
use marks::Marks;
use rows::Rows;
use split::Split;
use std::{fmt, sync::Arc};

/// Each is asked about each line whose type is not configured.
const MAPPINGS_MAX: usize = 64;
/// What a file of ours has, ten times.
pub const FILE_BYTES_MAX: u64 = 64 << 10;

/// One format.
#[derive(Debug)]
struct Mapping {
    /// As `--source` and the configuration write it.
    name: Arc<str>,
    title: String,
    /// Raised by its author when the same line is read otherwise; kept with each event.
    version: u16,
    dataset: String,
    marks: Marks,
    split: Split,
    time: Option<Clock>,
    rows: Rows,
    /// Of its text.
    sha256: [u8; 32],
}

/// Which mapping, and whether it reads JSON objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MappingId {
    number: u16,
    is_json: bool,
}

impl MappingId {
    pub(super) fn is_json(self) -> bool {
        self.is_json
    }
}

/// The mappings of one configuration, in the order of their files' names.
#[derive(Debug, Default)]
pub struct Mappings(Vec<Mapping>);

/// What is wrong with a file of them, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { line, column, message } = &self.problem;
        write!(f, "{}, line {line}, column {column}: {message}", self.file)
    }
}

/// Those made of the same texts are the same.
impl PartialEq for Mappings {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().map(|one| one.sha256).eq(other.0.iter().map(|one| one.sha256))
    }
}

impl Mappings {
    /// Reads files, each its name and its text; all that is wrong, or all of them.
    pub fn read(files: impl IntoIterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let (mut all, mut faults) = (Self::default(), Vec::new());
        for (file, text) in files {
            match document::read(&text).and_then(|mapping| all.take(mapping)) {
                Ok(()) => {}
                Err(problems) => {
                    let fault = |problem| Fault { file: file.clone(), problem };
                    faults.extend(problems.into_iter().map(fault));
                }
            }
        }
        if faults.is_empty() { Ok(all) } else { Err(faults) }
    }

    fn take(&mut self, mapping: Mapping) -> Result<(), Vec<Problem>> {
        let wrong = |message: String| Err(vec![Place { line: 1, column: 1 }.problem(message)]);
        let Mapping { name, .. } = &mapping;
        if self.0.iter().any(|known| known.name == *name) {
            return wrong(format!("another mapping has the name '{name}'; give this one its own"));
        }
        if self.0.len() >= MAPPINGS_MAX {
            return wrong(format!(
                "the mapping '{name}' is one too many; {MAPPINGS_MAX} are possible"
            ));
        }
        self.0.push(mapping);
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and title of each.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|one| (&*one.name, one.title.as_str()))
    }

    /// The type of this name: one of these, or one that Custos has of itself.
    pub fn source_type(&self, name: &str) -> Result<SourceType, UnknownSourceType> {
        let number = self.0.iter().position(|one| *one.name == *name);
        match number.and_then(|number| self.id(number)) {
            Some(id) => Ok(SourceType::Mapped(id)),
            None => name.parse().map_err(|error: UnknownSourceType| {
                error.or_one_of(self.names().map(|(name, _)| name))
            }),
        }
    }

    fn id(&self, number: usize) -> Option<MappingId> {
        let is_json = matches!(self.0.get(number)?.split, Split::Json);
        Some(MappingId { number: u16::try_from(number).ok()?, is_json })
    }

    fn get(&self, id: MappingId) -> Option<&Mapping> {
        self.0.get(usize::from(id.number))
    }
}

#[cfg(test)]
mod tests;
