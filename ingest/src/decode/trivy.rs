//! What Trivy finds: a finding a line, or a whole report (`trivy … --format json`) in one.

use super::{
    Read,
    fields::{Raises, add, is_usable, raise},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Trivy {
    time: FieldId,
    results: FieldId,
    package: FieldId,
    status: FieldId,
    name: FieldId,
    kind: FieldId,
    rows: Raises,
}

impl Trivy {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("trivy.{name}"));
        let rows = [
            (table.intern("vulnerability.score.base"), "trivy.CVSS.nvd.V3Score"),
            (table.intern("vulnerability.score.base"), "trivy.CVSS.redhat.V3Score"),
            (table.intern("vulnerability.score.base"), "trivy.CVSS.ghsa.V3Score"),
            (table.intern("vulnerability.reference"), "trivy.PrimaryURL"),
            (ecs::RULE_ID, "trivy.AVDID"),
            (ecs::RULE_ID, "trivy.ID"),
            (ecs::RULE_ID, "trivy.RuleID"),
            (ecs::FILE_PATH, "trivy.PkgPath"),
            (ecs::FILE_PATH, "trivy.Target"),
        ];
        Self {
            time: own("CreatedAt"),
            results: own("SchemaVersion"),
            package: table.intern("package.name"),
            status: own("Status"),
            name: own("ArtifactName"),
            kind: own("ArtifactType"),
            rows: Raises::new(table, &rows),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        let has = |field| event.get(field).is_some_and(is_usable);
        let dataset = if has(self.results) {
            "trivy.report"
        } else if has(ecs::VULNERABILITY_ID) && has(self.package) {
            "trivy.vulnerability"
        } else if has(ecs::VULNERABILITY_SEVERITY) {
            if has(self.status) { "trivy.misconfiguration" } else { "trivy.secret" }
        } else {
            return Err("neither a report of Trivy nor a finding of one".into());
        };
        add(event, ecs::EVENT_MODULE, "trivy");
        add(event, ecs::EVENT_DATASET, dataset);
        add(event, ecs::EVENT_KIND, "state");
        add(event, ecs::EVENT_CATEGORY, "vulnerability");
        if dataset != "trivy.report" {
            self.rows.apply(event);
        }
        if event.str(self.kind) == Some("container_image") {
            raise(event, ecs::CONTAINER_IMAGE_NAME, self.name);
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}
