//! Alerts of Falco (`json_output: true`): a rule that met a system call, a Kubernetes audit event or a plugin's event.

use super::{
    Read,
    fields::{Raises, add, add_some, is_usable, raise, slug},
    time,
};
use custos_event::{FieldId, FieldTable, ParsedEvent, ecs};

#[derive(Debug)]
pub(super) struct Falco {
    time: FieldId,
    call: FieldId,
    file: FieldId,
    container: FieldId,
    /// What of a container is raised where the event is of one.
    of_container: [(FieldId, FieldId); 4],
    rows: Raises,
}

impl Falco {
    pub(super) fn new(table: &FieldTable) -> Self {
        let own = |name: &str| table.intern(&format!("falco.output_fields.{name}"));
        let rows = [
            (ecs::PROCESS_NAME, "falco.output_fields.proc.name"),
            (ecs::PROCESS_PID, "falco.output_fields.proc.pid"),
            (ecs::PROCESS_EXECUTABLE, "falco.output_fields.proc.exepath"),
            (ecs::PROCESS_COMMAND_LINE, "falco.output_fields.proc.cmdline"),
            (ecs::PROCESS_WORKING_DIRECTORY, "falco.output_fields.proc.cwd"),
            (ecs::PROCESS_PARENT_NAME, "falco.output_fields.proc.pname"),
            (ecs::PROCESS_PARENT_PID, "falco.output_fields.proc.ppid"),
            (ecs::PROCESS_PARENT_COMMAND_LINE, "falco.output_fields.proc.pcmdline"),
            (ecs::USER_NAME, "falco.output_fields.user.name"),
            (ecs::USER_NAME, "falco.output_fields.ka.user.name"),
            (ecs::USER_ID, "falco.output_fields.user.uid"),
            (ecs::SOURCE_IP, "falco.output_fields.fd.cip"),
            (ecs::SOURCE_PORT, "falco.output_fields.fd.cport"),
            (ecs::DESTINATION_IP, "falco.output_fields.fd.sip"),
            (ecs::DESTINATION_PORT, "falco.output_fields.fd.sport"),
            (ecs::NETWORK_TRANSPORT, "falco.output_fields.fd.l4proto"),
        ];
        Self {
            time: table.intern("falco.time"),
            call: own("evt.type"),
            file: own("fd.name"),
            container: own("container.id"),
            of_container: [
                (ecs::CONTAINER_ID, own("container.id")),
                (ecs::CONTAINER_NAME, own("container.name")),
                (ecs::CONTAINER_IMAGE_NAME, own("container.image.repository")),
                (ecs::ORCHESTRATOR_NAMESPACE, own("k8s.ns.name")),
            ],
            rows: Raises::new(table, &rows),
        }
    }

    pub(super) fn read(&self, event: &mut ParsedEvent) -> Read {
        if !event.get(ecs::RULE_NAME).is_some_and(is_usable) {
            return Err("no 'rule', which every alert of Falco has".into());
        }
        add(event, ecs::EVENT_MODULE, "falco");
        add(event, ecs::EVENT_DATASET, "falco.alert");
        add(event, ecs::EVENT_KIND, "alert");
        let call = event.str(self.call).map(slug);
        add_some(event, ecs::EVENT_ACTION, call.as_deref());
        self.rows.apply(event);
        // A file is a path; a connection is `10.0.0.1:4711->10.0.0.2:22`.
        if event.str(self.file).is_some_and(|name| name.starts_with('/')) {
            raise(event, ecs::FILE_PATH, self.file);
        }
        // Outside of containers their id is `host`.
        if event.str(self.container).is_some_and(|id| id != "host") {
            for (field, native) in self.of_container {
                raise(event, field, native);
            }
        }
        let techniques: Vec<String> = event
            .all(ecs::TAGS)
            .map(|tag| tag.to_string())
            .filter(|tag| is_technique(tag))
            .collect();
        for technique in techniques {
            add(event, ecs::THREAT_TECHNIQUE_ID, &technique);
        }
        Ok(event.get(self.time).and_then(time::of_value))
    }
}

/// `T1059`, `T1059.004`.
fn is_technique(tag: &str) -> bool {
    tag.strip_prefix('T').is_some_and(|rest| {
        rest.len() >= 4 && rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    })
}
