//! The playbooks of this repository hold, and so do their cases.

use custos_respond::{
    playbook,
    rehearse::{self, Verdict},
};
use std::{fs, path::Path};

#[test]
fn every_playbook_holds_and_does_what_its_cases_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules/playbooks");
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.ends_with(".cases.yml") {
            continue;
        }
        let playbook = playbook::parse(&fs::read_to_string(&path).unwrap());
        let playbook = playbook.unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        let cases = fs::read_to_string(path.with_extension("cases.yml")).unwrap();
        let cases =
            rehearse::cases(&cases).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        assert!(cases.len() >= 4, "{name} has {} cases", cases.len());
        for case in cases {
            let verdict = rehearse::run(&playbook, &case);
            assert_eq!(verdict, Verdict::Holds, "{name}, case '{}'", case.name);
        }
        names.push(playbook.plan.playbook);
    }
    names.sort();
    assert_eq!(names, ["block-address", "contain-account", "notify-customer", "stolen-badge"]);
}
