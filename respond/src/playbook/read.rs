//! YAML nodes become a playbook; each error names the line, the column and the mend.

use super::{FILE_BYTES_MAX, INPUTS_MAX, Playbook, STEPS_MAX, Trigger, check, step};
use crate::input::{From, Input, InputKind};
use custos_event::{
    respond::Plan,
    suggest::did_you_mean,
    yaml::{self, Node, Place, Problem, Value},
};
use sha2::{Digest as _, Sha256};

/// Problems as they are found, so that one run shows all there is to mend.
#[derive(Default)]
pub(super) struct Problems(pub(super) Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: Place, message: impl Into<String>) {
        self.0.push(at.problem(message));
    }

    /// Tells every key of `node` that is not one of `known`.
    pub(super) fn unknown_keys(&mut self, node: &Node, known: &[&str]) {
        for (key, _) in node.entries() {
            if !known.contains(&key.name.as_str()) {
                let near = did_you_mean(&key.name, known.iter().copied());
                let text =
                    format!("unknown key '{}'{near} (known: {})", key.name, known.join(", "));
                self.add(key.at, text);
            }
        }
    }

    /// The text of a key; empty, and told, where it is missing or something else.
    pub(super) fn text(&mut self, node: &Node, key: &str) -> String {
        match node.get(key).map(|value| (value.scalar(), value)) {
            Some((Some(text), _)) if !text.trim().is_empty() => return text,
            Some((_, value)) => self.add(value.at, format!("'{key}' has to be a text")),
            None => self.add(node.at, format!("'{key}' is missing")),
        }
        String::new()
    }

    pub(super) fn text_or_empty(&mut self, node: &Node, key: &str) -> String {
        if node.get(key).is_some() { self.text(node, key) } else { String::new() }
    }

    /// The texts of a list, or of a single text.
    pub(super) fn texts(&mut self, node: &Node, key: &str) -> Vec<String> {
        let items = node.get(key).map_or(&[][..], Node::items);
        let mut texts = Vec::new();
        for item in items {
            match item.scalar() {
                Some(text) if !text.is_empty() => texts.push(text),
                _ => self.add(item.at, format!("'{key}' has to be a text, or a list of texts")),
            }
        }
        texts
    }
}

pub(super) fn playbook(text: &str) -> Result<Playbook, Vec<Problem>> {
    if text.len() > FILE_BYTES_MAX {
        let message =
            format!("file has {} bytes; a playbook may have {FILE_BYTES_MAX}", text.len());
        return Err(vec![Place { line: 1, column: 1 }.problem(message)]);
    }
    let (documents, broken) = yaml::documents(text);
    let mut problems = Problems(broken.into_iter().collect());
    let [node] = documents.as_slice() else {
        if problems.0.is_empty() {
            let message =
                format!("{} documents; a playbook is one document a file", documents.len());
            problems.add(Place { line: 1, column: 1 }, message);
        }
        return Err(problems.0);
    };
    let playbook = document(node, text, &mut problems);
    check::playbook(&playbook, node, &mut problems);
    if problems.0.is_empty() { Ok(playbook) } else { Err(problems.0) }
}

fn document(node: &Node, text: &str, problems: &mut Problems) -> Playbook {
    if !matches!(node.value, Value::Map(_)) {
        problems.add(node.at, format!("a playbook is a map with 'playbook', not {}", node.kind()));
        return Playbook::empty();
    }
    problems.unknown_keys(
        node,
        &["playbook", "title", "title_zh", "description", "trigger", "inputs", "steps"],
    );
    let id = problems.text(node, "playbook");
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if let Some(at) = node.get("playbook").map(|id| id.at)
        && (!id.chars().all(word) || id.len() > 64)
    {
        problems.add(
            at,
            format!("'{id}' is no id; use lower-case letters, digits and '-', as in block-address"),
        );
    }
    let title = problems.text(node, "title");
    let version = crate::hex(&Sha256::digest(text.as_bytes()));
    Playbook {
        description: problems.text_or_empty(node, "description"),
        trigger: trigger(node, problems),
        inputs: inputs(node, problems),
        plan: Plan {
            playbook: id,
            version,
            title,
            title_zh: problems.text_or_empty(node, "title_zh"),
            steps: steps(node, problems),
        },
    }
}

impl Playbook {
    fn empty() -> Self {
        Self {
            description: String::new(),
            trigger: Trigger::default(),
            inputs: Vec::new(),
            plan: Plan::default(),
        }
    }
}

fn trigger(node: &Node, problems: &mut Problems) -> Trigger {
    let Some(node) = node.get("trigger") else { return Trigger::default() };
    problems.unknown_keys(node, &["rules", "tags"]);
    let trigger =
        Trigger { rules: problems.texts(node, "rules"), tags: problems.texts(node, "tags") };
    if trigger.is_empty() {
        problems.add(
            node.at,
            "a trigger names 'rules' by id or 'tags'; leave it out to start by hand only",
        );
    }
    trigger
}

fn inputs(node: &Node, problems: &mut Problems) -> Vec<Input> {
    let Some(inputs) = node.get("inputs") else { return Vec::new() };
    if !matches!(inputs.value, Value::Map(_)) {
        problems.add(inputs.at, "'inputs' is a map: the input's name, then its type");
    }
    if inputs.entries().len() > INPUTS_MAX {
        problems.add(inputs.at, format!("more than {INPUTS_MAX} inputs"));
    }
    let read = |(key, node): &(yaml::Key, Node)| input(&key.name, node, problems);
    inputs.entries().iter().filter_map(read).collect()
}

fn input(name: &str, node: &Node, problems: &mut Problems) -> Option<Input> {
    if !crate::template::is_path(name) || name.contains('.') {
        problems.add(node.at, format!("'{name}' is no name; use letters, digits, '_' and '-'"));
    }
    problems.unknown_keys(node, &["type", "title", "title_zh", "from", "default"]);
    let written = problems.text(node, "type");
    let Some(kind) = InputKind::of(&written) else {
        if let Some(at) = node.get("type").map(|kind| kind.at) {
            let near = did_you_mean(&written, InputKind::NAMES);
            let known = InputKind::NAMES.join(", ");
            problems.add(at, format!("unknown type '{written}'{near} (known: {known})"));
        }
        return None;
    };
    let mut default = None;
    if let Some(node) = node.get("default") {
        match node.scalar().map(|text| kind.read(&text)) {
            Some(Ok(value)) => default = Some(value),
            Some(Err(why)) => problems.add(node.at, format!("the default {why}")),
            None => problems.add(node.at, "the default has to be one value"),
        }
    }
    let from = problems.text_or_empty(node, "from");
    if let Some(node) = node.get("from")
        && From::of(&from).is_none()
    {
        problems.add(
            node.at,
            format!(
                "'{from}' is nothing that an alert has; write alert.entities.KIND (user, address, host, door, \
                 credential, card, customer), alert.title, alert.rule or alert.level"
            ),
        );
    }
    let title = problems.text_or_empty(node, "title");
    let title_zh = problems.text_or_empty(node, "title_zh");
    Some(Input { name: name.to_owned(), kind, title, title_zh, from: From::of(&from), default })
}

fn steps(node: &Node, problems: &mut Problems) -> Vec<custos_event::respond::Step> {
    let items = match node.get("steps") {
        Some(Node { value: Value::List(items), .. }) if !items.is_empty() => items,
        found => {
            problems.add(found.unwrap_or(node).at, "'steps' has to be a list of at least one step");
            return Vec::new();
        }
    };
    if items.len() > STEPS_MAX {
        problems.add(node.at, format!("{} steps; a playbook may have {STEPS_MAX}", items.len()));
    }
    items.iter().filter_map(|item| step::step(item, problems)).collect()
}
