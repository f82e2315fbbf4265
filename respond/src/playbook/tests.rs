//! What a playbook file is told about itself.

use super::parse;

const GOOD: &str = "
playbook: p
title: P
inputs:
  address: {type: address}
  lasts: {type: duration, default: 4h}
steps:
  - step: block
    effect: reversible
    target: '{inputs.address}'
    http: {endpoint: fw, method: PUT, path: '/blocks/{inputs.address}'}
    undo:
      http: {endpoint: fw, method: DELETE, path: '/blocks/{inputs.address}'}
    undo_after: '{inputs.lasts}'
  - step: tell
    if: steps.block.status == 200
    email: {to: soc, subject: s, text: t}
";

/// The problem of the good file with `from` replaced by `to`: its line and a part of its text.
fn check(from: &str, to: &str, line: u32, part: &str) {
    assert!(GOOD.contains(from), "{from}");
    let problems = parse(&GOOD.replace(from, to)).unwrap_err();
    let found = problems.iter().any(|p| p.line == line && p.message.contains(part));
    assert!(found, "{from} -> {to}: {problems:?}");
}

#[test]
fn a_good_playbook_holds() {
    let playbook = parse(GOOD).unwrap();
    assert_eq!(playbook.plan.steps.len(), 2);
    assert_eq!(playbook.plan.version.len(), 64);
}

#[test]
fn a_mail_to_a_customer_shows_whom_it_is_for() {
    let of =
        |mail: &str| parse(&GOOD.replace("email: {to: soc", mail)).unwrap().plan.steps.remove(1);
    assert_eq!(of("email: {to_customer: 'C-{inputs.address}'").target, "C-{inputs.address}");
    assert_eq!(of("target: x\n    email: {to_customer: C-1").target, "x");
}

#[test]
fn what_does_not_hold_is_told_with_its_line_and_mend() {
    check("title: P", "titel: P", 3, "did you mean 'title'?");
    check("playbook: p", "playbook: P p", 2, "lower-case");
    check("type: address", "type: adress", 5, "did you mean 'address'?");
    check("default: 4h", "default: soon", 6, "write 90s, 15m, 4h or 2d");
    check("effect: reversible", "effect: reversable", 9, "did you mean 'reversible'?");
    check("effect: reversible", "effect: irreversible", 13, "'undo' is for");
    check("    effect: reversible\n", "", 8, "'effect' is missing");
    check("target: '{inputs.address}'", "target: '{inputs.adress}'", 10, "did you mean 'address'?");
    check("    target: '{inputs.address}'\n", "", 8, "'target' is missing");
    check("'{inputs.lasts}'", "'{inputs.address}'", 14, "is no duration");
    check("steps.block.status == 200", "steps.tell.status == 200", 16, "no step above");
    check("steps.block.status == 200", "steps.block.status = 200", 16, "write '=='");
    check("to: soc", "to: '{inputs.address}@x'", 15, "without look-ups");
    check("to: soc", "to: soc, to_customer: C-1", 17, "either 'to'");
    check("to: soc, ", "", 17, "either 'to'");
    check("to: soc", "to_customer: '{inputs.nobody}'", 15, "there is no input 'nobody'");
    check("email: {", "query: {search: x}\n    email: {", 18, "exactly one of");
    check("method: PUT", "method: BREW", 11, "unknown method");
    check(
        "path: '/blocks/{inputs.address}'}\n    undo:",
        "path: '/../admin'}\n    undo:",
        8,
        "nowhere upwards",
    );
    check("    if: steps", "    retries: 2\n    if: steps", 16, "only reads are tried again");
    check(
        "inputs:\n",
        "trigger: {tags: [a]}\ninputs:\n",
        4,
        "'address' has neither 'from' nor 'default'",
    );
    check("step: tell", "step: block", 15, "stands above already");
}

#[test]
fn anchors_and_code_are_no_playbook() {
    let anchored = GOOD.replace("title: P", "title: &a P");
    assert!(parse(&anchored).unwrap_err()[0].message.contains("anchors"));
    assert!(parse("- just: a list").is_err());
    assert!(parse("").is_err());
    assert!(parse(&"a: [".repeat(100)).is_err());
}
