//! Which part of a query the dictionary can answer, and what is left to reading events.

use crate::{
    query::{
        Node, Query,
        pattern::Pattern,
        test::{Bound as Side, Leaf, Limit, Target, Test, WordTest},
    },
    schema::{self, Class, Core, Fields, TERM_BYTES_MAX, unsigned_zero},
    steady::Steady,
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::Ipv6Addr, ops::Bound};
use tantivy::{
    Searcher, Term,
    query::{
        AllQuery, BooleanQuery, EmptyQuery, FastFieldRangeQuery, Occur, PhraseQuery,
        Query as IndexQuery, TermQuery, TermSetQuery,
    },
    schema::{Field, IndexRecordOption},
};

/// The values a wildcard may stand for before it is left to reading: 4,096 × 512 bytes is 2 MiB at most.
const EXPANSIONS_MAX: usize = 4_096;

/// What the dictionary can say of an answer.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Finds everything that is in the answer, and perhaps more.
    pub(crate) query: Box<dyn IndexQuery>,
    /// Finds nothing but what is in the answer, if anything. Not needed when the plan is exact.
    pub(crate) sure: Option<Box<dyn IndexQuery>>,
    /// `query` is the answer.
    pub(crate) is_exact: bool,
}

/// A set of events.
#[derive(Debug)]
enum Clause {
    Every,
    Nothing,
    Only(Box<dyn IndexQuery>),
    Except(Box<dyn IndexQuery>),
}

impl Clone for Clause {
    fn clone(&self) -> Self {
        match self {
            Self::Every => Self::Every,
            Self::Nothing => Self::Nothing,
            Self::Only(query) => Self::Only(query.box_clone()),
            Self::Except(query) => Self::Except(query.box_clone()),
        }
    }
}

/// An answer lies between these two sets.
struct Bounds {
    upper: Clause,
    lower: Clause,
    is_exact: bool,
}

impl Bounds {
    fn exact(clause: Clause) -> Self {
        Self { upper: clause.clone(), lower: clause, is_exact: true }
    }

    fn within(upper: Clause) -> Self {
        Self { upper, lower: Clause::Nothing, is_exact: false }
    }

    fn new(clause: Clause, is_exact: bool) -> Self {
        if is_exact { Self::exact(clause) } else { Self::within(clause) }
    }
}

type Planned = tantivy::Result<Bounds>;

pub(crate) fn plan(query: &Query, fields: &Fields, searcher: &Searcher) -> tantivy::Result<Plan> {
    let planner = Planner { query, fields, searcher };
    let Bounds { upper, lower, is_exact } = planner.node(&query.root)?;
    let visible = |clause| {
        let rejected = || Clause::Except(term(fields.rejected_term()));
        if query.sees_rejected { clause } else { conjunction(vec![clause, rejected()]) }
    };
    let lower = visible(lower);
    let is_needed = !is_exact && !matches!(lower, Clause::Nothing);
    let sure = is_needed.then(|| lower.boxed());
    Ok(Plan { query: visible(upper).boxed(), sure, is_exact })
}

struct Planner<'a> {
    query: &'a Query,
    fields: &'a Fields,
    searcher: &'a Searcher,
}

impl Clause {
    fn boxed(self) -> Box<dyn IndexQuery> {
        match self {
            Self::Every => Box::new(AllQuery),
            Self::Nothing => Box::new(EmptyQuery),
            Self::Only(query) => query,
            Self::Except(query) => Box::new(BooleanQuery::new(vec![
                (Occur::Must, Box::new(AllQuery) as _),
                (Occur::MustNot, query),
            ])),
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Every => Self::Nothing,
            Self::Nothing => Self::Every,
            Self::Only(query) => Self::Except(query),
            Self::Except(query) => Self::Only(query),
        }
    }
}

fn conjunction(clauses: Vec<Clause>) -> Clause {
    let (mut parts, mut positive) = (Vec::new(), false);
    for clause in clauses {
        match clause {
            Clause::Every => {}
            Clause::Nothing => return Clause::Nothing,
            Clause::Only(query) => {
                positive = true;
                parts.push((Occur::Must, query));
            }
            Clause::Except(query) => parts.push((Occur::MustNot, query)),
        }
    }
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Clause::Every,
        (Some((Occur::MustNot, query)), true) => Clause::Except(query),
        (Some((_, query)), true) => Clause::Only(query),
        (Some(last), false) => {
            parts.push(last);
            if !positive {
                parts.push((Occur::Must, Box::new(AllQuery)));
            }
            Clause::Only(Box::new(BooleanQuery::new(parts)))
        }
    }
}

fn disjunction(clauses: Vec<Clause>) -> Clause {
    if clauses.iter().any(|clause| matches!(clause, Clause::Every)) {
        return Clause::Every;
    }
    let some = |clause: &Clause| !matches!(clause, Clause::Nothing);
    let queries: Vec<_> = clauses.into_iter().filter(some).map(Clause::boxed).collect();
    if queries.is_empty() { Clause::Nothing } else { Clause::Only(any(queries)) }
}

fn any(mut queries: Vec<Box<dyn IndexQuery>>) -> Box<dyn IndexQuery> {
    match (queries.pop(), queries.is_empty()) {
        (None, _) => Box::new(EmptyQuery),
        (Some(query), true) => query,
        (Some(query), false) => {
            queries.push(query);
            let should = queries.into_iter().map(|query| (Occur::Should, query)).collect();
            Box::new(BooleanQuery::new(should))
        }
    }
}

fn term(term: Term) -> Box<dyn IndexQuery> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn range(low: Bound<Term>, high: Bound<Term>) -> Clause {
    Clause::Only(Steady::boxed(FastFieldRangeQuery::new(low, high)))
}

fn side(side: Side, limit: Term) -> Clause {
    match side {
        Side::Below => range(Bound::Unbounded, Bound::Excluded(limit)),
        Side::AtMost => range(Bound::Unbounded, Bound::Included(limit)),
        Side::Above => range(Bound::Excluded(limit), Bound::Unbounded),
        Side::AtLeast => range(Bound::Included(limit), Bound::Unbounded),
    }
}

impl Planner<'_> {
    fn node(&self, node: &Node) -> Planned {
        match node {
            Node::All => Ok(Bounds::exact(Clause::Every)),
            Node::And(nodes) => self.join(nodes, conjunction),
            Node::Or(nodes) => self.join(nodes, disjunction),
            Node::Not(node) => {
                let Bounds { upper, lower, is_exact } = self.node(node)?;
                Ok(Bounds { upper: lower.not(), lower: upper.not(), is_exact })
            }
            Node::Leaf(at) => match self.query.leaves.get(*at) {
                Some(leaf) => self.leaf(leaf),
                None => Ok(Bounds::within(Clause::Every)),
            },
        }
    }

    fn join(&self, nodes: &[Node], join: fn(Vec<Clause>) -> Clause) -> Planned {
        let (mut uppers, mut lowers) = (Vec::new(), Vec::new());
        let mut all_exact = true;
        for node in nodes {
            let Bounds { upper, lower, is_exact } = self.node(node)?;
            all_exact &= is_exact;
            uppers.push(upper);
            lowers.push(lower);
        }
        Ok(Bounds { upper: join(uppers), lower: join(lowers), is_exact: all_exact })
    }

    fn leaf(&self, leaf: &Leaf) -> Planned {
        match &leaf.target {
            Target::Text => {
                // What the message holds is sure; any other value may hold it too.
                let message = self.named("message", &leaf.test)?;
                Ok(Bounds { upper: Clause::Every, lower: message.lower, is_exact: false })
            }
            Target::Time => Ok(Bounds::exact(time(&leaf.test, self.fields.time()))),
            Target::Received => Ok(Bounds::exact(time(&leaf.test, self.fields.received()))),
            Target::Source => self.named("custos.source", &leaf.test),
            Target::Field { name, .. } => self.named(name, &leaf.test),
        }
    }

    fn named(&self, name: &str, test: &Test) -> Planned {
        let Some(core) = schema::core(name) else { return Ok(Bounds::within(Clause::Every)) };
        let exists = || Clause::Only(term(self.fields.exists_term(core)));
        match test {
            Test::Exists => Ok(Bounds::exact(exists())),
            Test::Words(words) => self.words(core, words),
            Test::Equal { texts, net } => Ok(self.equal(core, texts, *net)),
            Test::Like(pattern) => self.like(core, pattern),
            Test::Compare(bound, limit) => {
                let limit = match (self.fields.column(core), core.class, limit) {
                    (Some(column), Class::Number, Limit::Number(limit)) => {
                        Term::from_field_f64(column, unsigned_zero(*limit))
                    }
                    (Some(column), Class::Address, Limit::Address(limit)) => {
                        Term::from_field_ip_addr(column, *limit)
                    }
                    (_, _, _) => return Ok(Bounds::within(exists())),
                };
                Ok(Bounds::exact(side(*bound, limit)))
            }
            Test::At(_) => Ok(Bounds::within(exists())),
        }
    }

    fn equal(&self, core: Core, texts: &[String], net: Option<IpNet>) -> Bounds {
        let mut exact = true;
        let mut all: Vec<_> = texts
            .iter()
            .map(|text| {
                let is_short = text.len() <= TERM_BYTES_MAX;
                exact &= is_short;
                let value = self.fields.value_term(core, text);
                term(if is_short { value } else { self.fields.long_term(core) })
            })
            .collect();
        match (net, self.fields.column(core)) {
            (None, _) => {}
            (Some(net), Some(column)) if core.class == Class::Address => {
                let (low, high) = span(net);
                // IPv4 lies within IPv6, but an IPv6 net does not mean it.
                exact &= matches!(net, IpNet::V4(_)) || !holds_ipv4(low, high);
                let bound = |ip| Bound::Included(Term::from_field_ip_addr(column, ip));
                all.push(range(bound(low), bound(high)).boxed());
            }
            (Some(_), _) => {
                return Bounds::within(Clause::Only(term(self.fields.exists_term(core))));
            }
        }
        Bounds::new(Clause::Only(any(all)), exact)
    }

    fn like(&self, core: Core, pattern: &Pattern) -> Planned {
        let head = char::from(core.number).to_string();
        let found = self.expand(self.fields.terms(), &head, pattern)?;
        let Some(mut terms) = found else {
            return Ok(Bounds::within(Clause::Only(term(self.fields.exists_term(core)))));
        };
        let long = self.fields.long_term(core);
        let exact = self.searcher.doc_freq(&long)? == 0;
        if !exact {
            terms.push(long);
        }
        Ok(Bounds::new(Clause::Only(set(terms)), exact))
    }

    fn words(&self, core: Core, words: &[WordTest]) -> Planned {
        if let [WordTest::Like(pattern)] = words {
            return Ok(match self.expand(self.fields.message(), "", pattern)? {
                Some(terms) => Bounds::exact(Clause::Only(set(terms))),
                None => Bounds::within(Clause::Only(term(self.fields.exists_term(core)))),
            });
        }
        let mut plain = words.iter().map(|word| match word {
            WordTest::Is(word) => Some(self.fields.word_term(word)),
            WordTest::Like(_) => None,
        });
        let terms: Vec<Term> = plain.clone().flatten().collect();
        let clauses = || {
            let mut all = vec![Clause::Only(term(self.fields.exists_term(core)))];
            all.extend(terms.iter().map(|word| Clause::Only(term(word.clone()))));
            conjunction(all)
        };
        Ok(match (plain.all(|word| word.is_some()), terms.as_slice()) {
            (true, [word]) => Bounds::exact(Clause::Only(term(word.clone()))),
            (true, [_, ..]) => Bounds::exact(Clause::Only(Steady::boxed(PhraseQuery::new(terms)))),
            (_, _) => Bounds::within(clauses()),
        })
    }

    /// The terms of `field` that begin with `head` and then fit, or `None` where there are too many.
    fn expand(
        &self,
        field: Field,
        head: &str,
        pattern: &Pattern,
    ) -> tantivy::Result<Option<Vec<Term>>> {
        let prefix = format!("{head}{}", pattern.prefix());
        let mut found = BTreeSet::new();
        for split in self.searcher.segment_readers() {
            let index = split.inverted_index(field)?;
            let mut stream = index.terms().range().ge(&prefix).into_stream()?;
            while stream.advance() {
                if !stream.key().starts_with(prefix.as_bytes()) {
                    break;
                }
                let text = std::str::from_utf8(stream.key()).unwrap_or_default();
                if text.get(head.len()..).is_some_and(|text| pattern.fits(text)) {
                    found.insert(text.to_owned());
                }
                if found.len() > EXPANSIONS_MAX {
                    return Ok(None);
                }
            }
        }
        Ok(Some(found.iter().map(|text| Term::from_field_text(field, text)).collect()))
    }
}

/// A time that every event has; always answered by its column.
fn time(test: &Test, field: Field) -> Clause {
    match test {
        Test::Exists => Clause::Every,
        Test::At(time) => {
            let at = Term::from_field_i64(field, time.0);
            range(Bound::Included(at.clone()), Bound::Included(at))
        }
        Test::Compare(bound, Limit::Time(time)) => {
            side(*bound, Term::from_field_i64(field, time.0))
        }
        Test::Compare(..) | Test::Equal { .. } | Test::Like(_) | Test::Words(_) => {
            Clause::Only(Box::new(EmptyQuery))
        }
    }
}

fn set(terms: Vec<Term>) -> Box<dyn IndexQuery> {
    if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) }
}

/// First and last address of a net, in IPv6.
fn span(net: IpNet) -> (Ipv6Addr, Ipv6Addr) {
    match net {
        IpNet::V4(net) => (net.network().to_ipv6_mapped(), net.broadcast().to_ipv6_mapped()),
        IpNet::V6(net) => (net.network(), net.broadcast()),
    }
}

fn holds_ipv4(low: Ipv6Addr, high: Ipv6Addr) -> bool {
    let (first, last) = (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), Ipv6Addr::from((1 << 48) - 1));
    low <= last && first <= high
}
