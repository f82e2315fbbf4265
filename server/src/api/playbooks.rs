//! The playbooks at hand: what each is for, what it asks, what it does.

use super::{State, extract::Json, problem::Problem, runs::effect};
use custos_respond::{Playbook as Read, input};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Playbooks {
    playbooks: Vec<Playbook>,
}

#[derive(Serialize, ToSchema)]
struct Playbook {
    id: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    description: String,
    /// SHA-256 of its text.
    version: String,
    /// Rules and tags whose alerts propose it.
    triggers: Vec<String>,
    inputs: Vec<Input>,
    steps: Vec<Step>,
}

#[derive(Serialize, ToSchema)]
struct Input {
    name: String,
    /// `text`, `address`, `user`, `door`, `number`, `duration` or `bool`.
    #[serde(rename = "type")]
    kind: &'static str,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    #[schema(value_type = Object)]
    default: Value,
    required: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = PlaybookStep)]
struct Step {
    name: String,
    title: String,
    /// In Chinese; empty where nobody wrote one.
    title_zh: String,
    effect: &'static str,
    #[schema(value_type = Object)]
    action: Value,
    condition: Option<String>,
    /// Who approves; empty where nobody has to.
    approval: Vec<String>,
    undo: bool,
}

impl Playbook {
    fn new(playbook: &Read) -> Self {
        let trigger = &playbook.trigger;
        let inputs = playbook.inputs.iter().map(|input| Input {
            name: input.name.clone(),
            kind: input.kind.name(),
            title: input.title.clone(),
            title_zh: input.title_zh.clone(),
            default: input.default.as_ref().map_or(Value::Null, input::json),
            required: input.default.is_none(),
        });
        let steps = playbook.plan.steps.iter().map(|step| Step {
            name: step.name.clone(),
            title: step.title.clone(),
            title_zh: step.title_zh.clone(),
            effect: effect(step.effect),
            action: json!(step.action),
            condition: step.condition.clone(),
            approval: step.approval.as_ref().map(|a| a.roles.clone()).unwrap_or_default(),
            undo: step.undo.is_some(),
        });
        Self {
            id: playbook.plan.playbook.clone(),
            title: playbook.plan.title.clone(),
            title_zh: playbook.plan.title_zh.clone(),
            description: playbook.description.clone(),
            version: playbook.plan.version.clone(),
            triggers: trigger.rules.iter().chain(&trigger.tags).cloned().collect(),
            inputs: inputs.collect(),
            steps: steps.collect(),
        }
    }
}

pub(super) async fn list(state: State) -> Result<Json<Playbooks>, Problem> {
    let playbooks = state.desk.playbooks().iter().map(Playbook::new).collect();
    Ok(Json(Playbooks { playbooks }))
}
