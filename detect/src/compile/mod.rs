//! Rules become conditions over numbered predicates, each predicate once however many rules ask it.

mod literal;
mod predicate;

pub(crate) use predicate::{Eager, Kind, Lazy, Predicate, bits};

use crate::rule::{
    Affix, Asked, Detection, Expr, Item, Part, Test,
    pattern::{Pattern, Token, fold, fold_into},
};
use custos_event::ValueRef;
use hashbrown::HashMap;
use predicate::Key;

/// A condition over predicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cond {
    Const(bool),
    /// The predicate of this number holds.
    Is(u32),
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
}

/// All predicates of a ruleset.
#[derive(Debug, Default)]
pub(crate) struct Predicates {
    list: Vec<Predicate>,
    by_key: HashMap<Key, u32>,
}

impl Predicates {
    pub(crate) fn get(&self, number: u32) -> &Predicate {
        &self.list[number as usize]
    }

    /// Drops what only compilation needs.
    pub(crate) fn finish(&mut self) {
        self.by_key = HashMap::new();
        self.list.shrink_to_fit();
    }

    /// The condition of one rule.
    pub(crate) fn compile(&mut self, detection: &Detection) -> Cond {
        let unfilled = |part: &Part| part.items().into_iter().any(Item::is_unfilled);
        if detection.searches.iter().any(|search| unfilled(&search.part)) {
            return Cond::Const(false);
        }
        let searches: Vec<Cond> =
            detection.searches.iter().map(|search| self.part(&search.part)).collect();
        place(&detection.condition, &searches)
    }

    fn part(&mut self, part: &Part) -> Cond {
        match part {
            Part::All(parts) => all(parts.iter().map(|part| self.part(part)).collect()),
            Part::Any(parts) => any(parts.iter().map(|part| self.part(part)).collect()),
            Part::Item(item) => self.item(item),
        }
    }

    fn item(&mut self, item: &Item) -> Cond {
        let mut eager = Vec::new();
        let mut terms = Vec::new();
        for asked in &item.asked {
            match eager_form(&asked.test) {
                Some(form) if item.all => terms.push(self.ask(item, Kind::Any(vec![form]))),
                Some(form) => eager.push(form),
                None => terms.push(self.other(item, asked)),
            }
        }
        if !eager.is_empty() {
            eager.sort_unstable();
            eager.dedup();
            terms.push(self.ask(item, Kind::Any(eager)));
        }
        let cond = if item.all { all(terms) } else { any(terms) };
        if item.negated { not(cond) } else { cond }
    }

    fn other(&mut self, item: &Item, asked: &Asked) -> Cond {
        let test = &asked.test;
        match test {
            Test::Unfilled(_) => Cond::Const(false),
            Test::Null | Test::Exists(false) => not(self.ask(item, Kind::Present)),
            Test::Exists(true) => self.ask(item, Kind::Present),
            _ if test.is_any_text() => self.ask(item, Kind::Present),
            Test::Text { .. }
            | Test::Number(_)
            | Test::Compare(..)
            | Test::Regex(_)
            | Test::Cidr(_)
            | Test::FieldRef { .. }
            | Test::Time(..) => {
                let name = format!("{}|{}", item.modifiers, asked.text);
                let gate = gate(item, test);
                self.ask(item, Kind::Lazy(Lazy { name, test: folded(test), gate }))
            }
        }
    }

    fn ask(&mut self, item: &Item, kind: Kind) -> Cond {
        let predicate = Predicate { field: item.field.clone(), kind };
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        let number = *self.by_key.entry(predicate.key()).or_insert(number);
        if number as usize == self.list.len() {
            self.list.push(predicate);
        }
        Cond::Is(number)
    }
}

/// The form in which a test is answered for all rules at once, if it has one.
fn eager_form(test: &Test) -> Option<Eager> {
    if let Test::Number(number) = test {
        return Some(Eager::number(*number));
    }
    let Test::Text { pattern, cased: false } = test else { return None };
    let form: fn(String) -> Eager = match pattern.tokens() {
        [] | [Token::Text(_)] => Eager::Exact,
        [Token::Text(_), Token::Many] => Eager::Start,
        [Token::Many, Token::Text(_)] => Eager::End,
        [Token::Many, Token::Text(_), Token::Many] => Eager::Inside,
        _ => return None,
    };
    Some(form(longest(&pattern.folded()).unwrap_or_default()))
}

/// The same test with its pattern in the case that values are brought to.
fn folded(test: &Test) -> Test {
    if let Test::Text { pattern, cased: false } = test {
        Test::Text { pattern: pattern.folded(), cased: false }
    } else {
        test.clone()
    }
}

/// Folded texts of which one has to be in a value before the test is worth running.
fn gate(item: &Item, test: &Test) -> Vec<String> {
    if let Test::Text { pattern, .. } = test {
        return longest(&pattern.folded()).into_iter().collect();
    }
    let Test::Regex(regex) = test else { return Vec::new() };
    let insensitive = item.modifiers.split('|').any(|name| matches!(name, "i" | "ignorecase"));
    literal::required(regex.as_str(), insensitive)
}

fn longest(pattern: &Pattern) -> Option<String> {
    let texts = pattern.tokens().iter().filter_map(|token| match token {
        Token::Text(text) => Some(text),
        Token::One | Token::Many | Token::Dash => None,
    });
    texts.max_by_key(|text| text.len()).cloned()
}

/// The searches' conditions put into the rule's expression.
fn place(expr: &Expr, searches: &[Cond]) -> Cond {
    let each = |terms: &[Expr]| terms.iter().map(|term| place(term, searches)).collect();
    match expr {
        Expr::Search(index) => searches[*index].clone(),
        Expr::All(terms) => all(each(terms)),
        Expr::Any(terms) => any(each(terms)),
        Expr::Not(inner) => not(place(inner, searches)),
    }
}

pub(crate) fn all(terms: Vec<Cond>) -> Cond {
    join(terms, true)
}

pub(crate) fn any(terms: Vec<Cond>) -> Cond {
    join(terms, false)
}

/// Flattens, drops neutral terms, and decides early where one term decides.
fn join(terms: Vec<Cond>, conjunction: bool) -> Cond {
    let mut kept = Vec::new();
    for term in terms {
        match term {
            Cond::Const(value) if value == conjunction => {}
            Cond::Const(value) => return Cond::Const(value),
            Cond::All(inner) if conjunction => kept.extend(inner),
            Cond::Any(inner) if !conjunction => kept.extend(inner),
            Cond::Is(_) | Cond::Not(_) | Cond::All(_) | Cond::Any(_) => kept.push(term),
        }
    }
    match kept.len() {
        0 => Cond::Const(conjunction),
        1 => kept.swap_remove(0),
        _ if conjunction => Cond::All(kept),
        _ => Cond::Any(kept),
    }
}

pub(crate) fn not(cond: Cond) -> Cond {
    match cond {
        Cond::Const(value) => Cond::Const(!value),
        Cond::Not(inner) => *inner,
        Cond::Is(_) | Cond::All(_) | Cond::Any(_) => Cond::Not(Box::new(cond)),
    }
}

impl Lazy {
    /// Whether one value, whose text is `text`, answers the test.
    pub(crate) fn holds(&self, value: ValueRef<'_>, text: &str, folded: &mut String) -> bool {
        match &self.test {
            Test::Text { pattern, cased: true } => pattern.matches(text),
            Test::Text { pattern, cased: false } => {
                fold_into(text, folded);
                pattern.matches(folded)
            }
            Test::Regex(regex) => regex.is_match(text),
            Test::Compare(order, number) => {
                value.as_f64().is_some_and(|value| order.holds(value, *number))
            }
            Test::Cidr(net) => text.parse().is_ok_and(|address| contains(net, address)),
            Test::Time(part, order, number) => part.of(text).is_some_and(|found| match order {
                #[expect(clippy::float_cmp, reason = "both are whole numbers")]
                None => found == *number,
                Some(order) => order.holds(found, *number),
            }),
            // The first four are answered otherwise; a reference needs the whole event.
            Test::Number(_)
            | Test::Null
            | Test::Exists(_)
            | Test::Unfilled(_)
            | Test::FieldRef { .. } => false,
        }
    }
}

/// Also where an IPv4 address comes in its IPv6 form.
pub(crate) fn contains(net: &ipnet::IpNet, address: std::net::IpAddr) -> bool {
    net.contains(&address) || net.contains(&address.to_canonical())
}

/// How two fields' texts are compared.
pub(crate) fn refers(affix: Affix, cased: bool, value: &str, other: &str) -> bool {
    if cased { affix.holds(value, other) } else { affix.holds(&fold(value), &fold(other)) }
}
