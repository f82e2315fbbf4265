//! A report of Trivy in one body becomes its findings, each with what the report says of all of them.

use crate::decoding::Piece;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fmt::Write as _;

#[derive(Deserialize)]
struct Report<'r> {
    #[serde(rename = "ArtifactName", borrow)]
    name: &'r RawValue,
    #[serde(rename = "ArtifactType", borrow)]
    kind: Option<&'r RawValue>,
    #[serde(rename = "CreatedAt", borrow)]
    created: Option<&'r RawValue>,
    #[serde(rename = "Results", borrow)]
    results: Vec<Target<'r>>,
}

/// One thing that was looked at: a lock file, the packages of the system.
#[derive(Deserialize)]
struct Target<'r> {
    #[serde(rename = "Target", borrow)]
    name: Option<&'r RawValue>,
    #[serde(rename = "Class", borrow)]
    class: Option<&'r RawValue>,
    #[serde(rename = "Type", borrow)]
    kind: Option<&'r RawValue>,
    #[serde(rename = "Vulnerabilities", borrow, default)]
    vulnerabilities: Option<Vec<&'r RawValue>>,
    #[serde(rename = "Misconfigurations", borrow, default)]
    misconfigurations: Option<Vec<&'r RawValue>>,
    #[serde(rename = "Secrets", borrow, default)]
    secrets: Option<Vec<&'r RawValue>>,
}

/// The findings of the report in `body`; `None` where it is no report, or one without findings.
pub(super) fn findings(body: &[u8]) -> Option<Vec<Piece>> {
    let report: Report<'_> = serde_json::from_slice(body).ok()?;
    let mut all = Vec::new();
    for target in &report.results {
        let lists = [&target.vulnerabilities, &target.misconfigurations, &target.secrets];
        let found = lists.into_iter().flatten().flatten();
        all.extend(found.filter_map(|finding| finding_of(&report, target, finding)));
    }
    (!all.is_empty()).then_some(all)
}

fn finding_of(report: &Report<'_>, target: &Target<'_>, finding: &RawValue) -> Option<Piece> {
    let own = finding.get().strip_prefix('{')?.trim_start();
    let mut text = format!("{{\"ArtifactName\":{}", report.name);
    for (key, value) in [
        ("ArtifactType", report.kind),
        ("CreatedAt", report.created),
        ("Target", target.name),
        ("Class", target.class),
        ("TargetType", target.kind),
    ] {
        if let Some(value) = value {
            write!(text, ",\"{key}\":{value}").ok()?;
        }
    }
    if !own.starts_with('}') {
        text.push(',');
    }
    text.push_str(own);
    Some(Piece::new(Bytes::from(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<Vec<serde_json::Value>> {
        let pieces = findings(body.as_bytes())?;
        Some(pieces.iter().map(|piece| serde_json::from_slice(&piece.bytes).unwrap()).collect())
    }

    #[test]
    fn each_finding_says_where_it_was_found() {
        let body = r#"{"SchemaVersion":2,"CreatedAt":"2026-11-24T08:00:00Z","ArtifactName":"shop:1.4","ArtifactType":"container_image","Metadata":{"OS":{"Family":"debian"}},
            "Results":[
              {"Target":"shop:1.4 (debian 12.5)","Class":"os-pkgs","Type":"debian","Vulnerabilities":[
                {"VulnerabilityID":"CVE-2024-0001","PkgName":"libssl3","Severity":"HIGH"},
                { "VulnerabilityID":"CVE-2024-0002","PkgName":"zlib1g","Severity":"LOW"}]},
              {"Target":"Dockerfile","Class":"config","Type":"dockerfile","Misconfigurations":[{"ID":"DS002","Status":"FAIL"},{}]},
              {"Target":"app.py","Class":"secret","Secrets":[{"RuleID":"aws-access-key-id"}]},
              {"Target":"go.sum"}]}"#;
        let found = read(body).unwrap();
        assert_eq!(found.len(), 5);
        for (nth, key, value) in [
            (0, "VulnerabilityID", "CVE-2024-0001"),
            (0, "ArtifactName", "shop:1.4"),
            (0, "Target", "shop:1.4 (debian 12.5)"),
            (1, "PkgName", "zlib1g"),
            (2, "ID", "DS002"),
            (2, "TargetType", "dockerfile"),
            (3, "Class", "config"),
            (4, "RuleID", "aws-access-key-id"),
            (4, "CreatedAt", "2026-11-24T08:00:00Z"),
        ] {
            assert_eq!(found[nth][key], value, "{key} of {nth}");
        }
    }

    #[test]
    fn what_is_no_report_or_finds_nothing_stays_whole() {
        for body in [
            r#"{"ArtifactName":"a","Results":[]}"#,
            r#"{"ArtifactName":"a","Results":[{"Target":"b","Vulnerabilities":null}]}"#,
            r#"{"ArtifactName":"a"}"#,
            r#"{"a":1}"#,
            "[1]",
            "",
        ] {
            assert_eq!(read(body), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_splitting_panic(
            text in r#"\{"ArtifactName":[a"1{}]{0,3},"Results":\[(\{"Secrets":\[[{}",:a\[\]]{0,20}\]\})?\]\}"#,
            bytes: Vec<u8>,
        ) {
            findings(text.as_bytes());
            findings(&bytes);
        }
    }
}
