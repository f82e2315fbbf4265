//! The table of routes: what is not in it does not exist, and nobody may do more than it says. The router and
//! the OpenAPI document are made from it.

use super::{
    alerts, backups, customers, effects, events, evidence, incidents, integrity, madesources,
    openapi, overview, playbooks, privacy, retention, risk,
    route::{Access, Route},
    rulebench, rulecover, rulemoves, rules, runs, search, session, sources, stream, tasks, users,
    verdicts,
};
use crate::{
    auth::Permission::{
        Approve, Erase, ManageBackups, ManageRules, ManageSources, ManageUsers, Preserve,
        ReadAlerts, ReadAudit, ReadEvents, ReadSources, Respond, Reveal, Triage,
    },
    evidence::prove::EventProof,
    line::Line,
};

/// Every route below `/api/v1`.
pub(crate) fn table() -> Vec<Route> {
    let areas = [
        about(),
        session(),
        users(),
        search(),
        events(),
        alerts(),
        sources(),
        views(),
        incidents(),
        runs(),
        tasks(),
        integrity(),
        keeping(),
        privacy(),
    ];
    areas.into_iter().flatten().collect()
}

fn about() -> Vec<Route> {
    vec![
        Route::get("/openapi.json", Access::Open, openapi::show, "This document")
            .gives::<openapi::Document>(),
    ]
}

fn session() -> Vec<Route> {
    vec![
        Route::get("/setup", Access::Open, session::setup_state, "Is there no account yet?")
            .gives::<session::SetupState>(),
        Route::post("/setup", Access::Open, session::set_up, "Make the first account; sign in")
            .takes::<session::FirstAccount>()
            .gives::<session::SessionShown>(),
        Route::post("/session", Access::Open, session::sign_in, "Sign in")
            .takes::<session::Credentials>()
            .gives::<session::SessionShown>(),
        Route::get("/session", Access::SignedIn, session::show, "Who is signed in")
            .gives::<session::SessionShown>(),
        Route::delete("/session", Access::SignedIn, session::sign_out, "Sign out").gives_nothing(),
        Route::post("/me/password", Access::SignedIn, session::change_password, "Change one's own")
            .takes::<session::NewPassword>()
            .gives::<session::SessionShown>(),
    ]
}

fn users() -> Vec<Route> {
    vec![
        Route::get("/users", ReadAudit, users::list, "Every account").gives::<users::Users>(),
        Route::post("/users", ManageUsers, users::create, "A new account")
            .takes::<users::NewUser>()
            .gives_new::<users::User>(),
        Route::patch("/users/{name}", ManageUsers, users::change, "Change an account")
            .takes::<users::UserChange>()
            .gives::<users::User>(),
    ]
}

fn search() -> Vec<Route> {
    vec![
        Route::get("/search", ReadEvents, search::search, "Find events, newest first")
            .query::<search::Ask>()
            .gives_lines::<Line<'_>>()
            .with_past(),
        Route::get("/count", ReadEvents, search::count, "Count the events that a search finds")
            .query::<search::Ask>()
            .gives::<search::Counted>()
            .with_past(),
    ]
}

fn events() -> Vec<Route> {
    vec![
        Route::get("/events", ReadEvents, events::list, "A page of a search, newest first")
            .query::<events::List>()
            .gives::<events::EventPage>()
            .with_past(),
        Route::get("/events/histogram", ReadEvents, events::histogram, "Counts over time")
            .query::<events::Over>()
            .gives::<events::Histogram>()
            .with_past(),
        Route::get("/events/fields", ReadEvents, events::fields, "Fields of the newest events")
            .query::<events::OfSample>()
            .gives::<events::FieldList>()
            .with_past(),
        Route::get("/events/values", ReadEvents, events::values, "Most frequent values of a field")
            .query::<events::OfField>()
            .gives::<events::ValueList>()
            .with_past(),
        Route::get("/fields", ReadEvents, events::names, "Names of fields, for completion")
            .gives::<events::NameList>(),
        Route::get("/events/{log}/{partition}/{seq}", ReadEvents, events::one, "One event")
            .gives::<events::OneEvent>()
            .with_past(),
        Route::get(
            "/events/{log}/{partition}/{seq}/surrounding",
            ReadEvents,
            events::surrounding,
            "What the same source sent before and after",
        )
        .query::<events::Around>()
        .gives::<events::Surrounding>()
        .with_past(),
        Route::get(
            "/events/{log}/{partition}/{seq}/proof",
            ReadEvents,
            evidence::proof,
            "That an event is in the signed log",
        )
        .gives::<EventProof>(),
    ]
}

fn integrity() -> Vec<Route> {
    vec![
        Route::get("/integrity", ReadAudit, integrity::show, "Whether the logs are whole")
            .gives::<integrity::Integrity>(),
        Route::get(
            "/integrity/checkpoints",
            ReadAudit,
            integrity::checkpoints,
            "The head of each log, signed now",
        )
        .gives::<integrity::SignedHeads>(),
        Route::post(
            "/integrity/verification",
            ReadAudit,
            integrity::verify,
            "Read every log and hold it against its checkpoints",
        )
        .gives::<integrity::Integrity>(),
        Route::post(
            "/integrity/refused/accept",
            Preserve,
            integrity::accept,
            "Vouch for another node's head that was refused, as after a restore",
        )
        .takes::<integrity::AcceptHead>()
        .gives::<integrity::Integrity>(),
        // The note is signed by a key that the configuration names: that is the sign-in.
        Route::post(
            "/witness/checkpoints",
            Access::Open,
            integrity::witness,
            "Keep another Custos' signed head",
        )
        .takes::<integrity::SentHead>()
        .gives::<integrity::Accepted>(),
    ]
}

fn alerts() -> Vec<Route> {
    vec![
        Route::get("/alerts", ReadAlerts, alerts::list, "The queue of alerts, newest first")
            .query::<alerts::List>()
            .gives::<alerts::Queue>()
            .with_past(),
        Route::get("/alerts.ndjson", ReadAlerts, alerts::lines, "The newest alerts, one a line")
            .query::<alerts::Newest>()
            .gives_lines::<alerts::AlertLine>(),
        Route::get("/alerts/{id}", ReadAlerts, alerts::one, "One alert")
            .gives::<alerts::OneAlert>()
            .with_past(),
        Route::post("/alerts/acknowledge", Triage, verdicts::acknowledge, "Take alerts in hand")
            .takes::<verdicts::Which>()
            .gives::<verdicts::Changed>(),
        Route::post("/alerts/verdict", Triage, verdicts::judge, "Judge alerts")
            .takes::<verdicts::Judge>()
            .gives::<verdicts::Changed>(),
    ]
}

fn sources() -> Vec<Route> {
    vec![
        Route::get("/sources", ReadSources, sources::list, "What each source sent")
            .gives::<sources::SourceList>()
            .with_past(),
        Route::get("/sources/shippers", ReadSources, sources::shippers, "How to connect a shipper")
            .gives::<sources::ShipperList>(),
        Route::get("/sources/made", ReadSources, madesources::list, "Sources that people made")
            .gives::<madesources::MadeSources>(),
        Route::post(
            "/sources/made",
            ManageSources,
            madesources::make,
            "A new source; its token is told this once",
        )
        .takes::<madesources::NewSource>()
        .gives_new::<madesources::IssuedToken>(),
        Route::post(
            "/sources/made/{name}/renew",
            ManageSources,
            madesources::renew,
            "Another token; the one before no longer holds",
        )
        .gives::<madesources::IssuedToken>(),
        Route::post("/sources/made/{name}/close", ManageSources, madesources::close, "No more")
            .takes::<madesources::CloseSource>()
            .gives::<madesources::MadeSources>(),
        Route::post("/sources/{name}/pause", ManageSources, madesources::pause, "Not read for now")
            .takes::<madesources::PauseSource>()
            .gives::<sources::SourceList>(),
        Route::post("/sources/{name}/resume", ManageSources, madesources::resume, "Read on")
            .gives::<sources::SourceList>(),
        Route::get("/sources/rejected", ReadEvents, sources::rejected, "What could not be read")
            .query::<sources::Rejected>()
            .gives::<events::EventPage>()
            .with_past(),
    ]
}

fn views() -> Vec<Route> {
    vec![
        Route::get("/rules", ReadAlerts, rules::list, "The rules, and how often each hit")
            .gives::<rules::RuleList>()
            .with_past(),
        Route::get(
            "/rules/coverage",
            ReadAlerts,
            rulecover::all,
            "Which events the live rules saw",
        )
        .gives::<rulecover::AllCovered>()
        .with_past(),
        Route::get(
            "/rules/attack-layer",
            ReadAlerts,
            rulecover::attack,
            "The ATT&CK techniques that live rules look for, for the Navigator",
        )
        .gives::<rulecover::Layer>()
        .with_past(),
        Route::post(
            "/rules/lint",
            ReadAlerts,
            rulebench::lint_rule,
            "What is wrong or doubtful about a rule",
        )
        .takes::<rulebench::LintAsked>()
        .gives::<rulebench::Linted>(),
        Route::post(
            "/rules/backtest",
            ReadEvents,
            rulebench::backtest,
            "What a rule would have found",
        )
        .takes::<rulebench::BacktestAsked>()
        .gives::<rulebench::BacktestResult>(),
        Route::post(
            "/rules/diff",
            ReadEvents,
            rulebench::diff,
            "What another version gains and loses",
        )
        .takes::<rulebench::DiffAsked>()
        .gives::<rulebench::RuleDiff>(),
        Route::post("/rules/move", ManageRules, rulemoves::move_rule, "Move a rule on in its life")
            .takes::<rulemoves::MoveAsked>()
            .gives::<rulemoves::RuleMoved>(),
        Route::get("/rules/{id}", ReadAlerts, rules::one, "One rule with its text")
            .gives::<rules::OneRule>()
            .with_past(),
        Route::get("/entities/risk", ReadAlerts, risk::list, "Who is at risk, and by what")
            .query::<risk::Ask>()
            .gives::<risk::Risks>()
            .with_past(),
        Route::get("/overview", ReadAlerts, overview::show, "What is to do, and how it goes")
            .gives::<overview::Overview>()
            .with_past(),
        Route::get("/stream", Access::SignedIn, stream::open, "What happens, as it happens")
            .query::<stream::Ask>()
            .gives_events::<stream::Message>(),
    ]
}

fn incidents() -> Vec<Route> {
    vec![
        Route::get("/incidents", ReadAlerts, incidents::list, "Incidents, newest first")
            .query::<incidents::Asked>()
            .gives::<incidents::Incidents>()
            .with_past(),
        Route::post("/incidents", Triage, incidents::open, "Open an incident by hand")
            .takes::<incidents::NewIncident>()
            .gives_new::<incidents::Incident>(),
        Route::get(
            "/incidents/{id}",
            ReadAlerts,
            incidents::one,
            "One incident, with its timeline",
        )
        .gives::<incidents::Incident>()
        .with_past(),
        Route::post("/incidents/{id}/assign", Triage, incidents::assign, "Give it an owner")
            .takes::<incidents::Owner>()
            .gives::<incidents::Incident>(),
        Route::post(
            "/incidents/{id}/comment",
            Triage,
            incidents::comment,
            "Say something about it",
        )
        .takes::<incidents::Comment>()
        .gives::<incidents::Incident>(),
        Route::post(
            "/incidents/{id}/status",
            Triage,
            incidents::set_status,
            "Contain, close, reopen",
        )
        .takes::<incidents::NewStatus>()
        .gives::<incidents::Incident>(),
        Route::post("/incidents/{id}/alerts", Triage, incidents::add_alerts, "Add alerts to it")
            .takes::<incidents::MoreAlerts>()
            .gives::<incidents::Incident>(),
        Route::get(
            "/incidents/{id}/evidence",
            ReadEvents,
            evidence::export,
            "The incident as a bundle that proves itself",
        )
        .query::<evidence::Linked>()
        .gives_lines::<evidence::BundleLine>(),
        Route::post("/incidents/{id}/runs", Respond, runs::start, "Run a playbook")
            .takes::<runs::NewRun>()
            .gives_new::<runs::Run>(),
        Route::post("/incidents/{id}/runs/plan", Respond, runs::planned, "What a run would do")
            .takes::<runs::NewRun>()
            .gives::<runs::Plan>(),
    ]
}

fn runs() -> Vec<Route> {
    vec![
        Route::get("/playbooks", ReadAlerts, playbooks::list, "The playbooks at hand")
            .gives::<playbooks::Playbooks>(),
        Route::get("/runs", ReadAlerts, runs::list, "Runs, newest first")
            .query::<runs::Asked>()
            .gives::<runs::Runs>()
            .with_past(),
        Route::get("/runs/{id}", ReadAlerts, runs::one, "One run").gives::<runs::Run>().with_past(),
        Route::post("/runs/{id}/approve", Approve, runs::approve, "Approve a step's arguments")
            .takes::<runs::Approval>()
            .gives::<runs::Run>(),
        Route::post("/runs/{id}/deny", Approve, runs::deny, "Deny a step")
            .takes::<runs::Denial>()
            .gives::<runs::Run>(),
        Route::post("/runs/{id}/undo", Respond, runs::undo, "Undo a step's effect")
            .takes::<runs::StepName>()
            .gives::<runs::Run>(),
        Route::post("/runs/{id}/resolve", Respond, runs::resolve, "Say what became of a step")
            .takes::<runs::Settled>()
            .gives::<runs::Run>(),
        Route::get(
            "/effects",
            ReadAlerts,
            effects::list,
            "What is in force now, and how to end it",
        )
        .query::<effects::Asked>()
        .gives::<effects::Effects>()
        .with_past(),
    ]
}

fn tasks() -> Vec<Route> {
    vec![
        Route::get("/tasks", ReadAlerts, tasks::list, "Recovery tasks, newest first")
            .query::<tasks::Asked>()
            .gives::<tasks::Tasks>()
            .with_past(),
        Route::post("/tasks/{id}/start", Respond, tasks::start, "Begin").gives::<tasks::Task>(),
        Route::post("/tasks/{id}/done", Respond, tasks::done, "Say that it is done")
            .takes::<tasks::Note>()
            .gives::<tasks::Task>(),
        Route::post("/tasks/{id}/sign_off", Respond, tasks::sign_off, "Agree, as another person")
            .takes::<tasks::Note>()
            .gives::<tasks::Task>(),
        Route::post("/tasks/{id}/assign", Respond, tasks::assign, "Give it an owner")
            .takes::<tasks::TaskOwner>()
            .gives::<tasks::Task>(),
    ]
}

fn keeping() -> Vec<Route> {
    vec![
        Route::get("/backups", ReadAudit, backups::list, "Backups, newest first, and drills")
            .gives::<backups::Backups>(),
        Route::get("/backups/listed", ReadAudit, backups::listed, "Backups as they lie")
            .gives::<backups::Lying>(),
        Route::post("/backups", ManageBackups, backups::create, "Make one now")
            .takes::<backups::NewBackup>()
            .gives::<backups::Asked>(),
        Route::post("/backups/verify", ManageBackups, backups::verify, "Read them and check")
            .takes::<backups::WhichBackup>()
            .gives::<backups::Asked>(),
        Route::post("/backups/drill", ManageBackups, backups::drill, "Try a restore out")
            .gives::<backups::Asked>(),
        Route::get("/retention", ReadEvents, retention::show, "What is kept, let go, and held")
            .gives::<retention::Retention>(),
        Route::post("/retention/run", ManageBackups, retention::run, "Let go now of what is due")
            .gives::<retention::Asked>(),
        Route::get("/retention/scrub", ReadEvents, retention::scrub_state, "Damage, last scrub")
            .gives::<retention::Scrub>(),
        Route::post("/retention/scrub", Preserve, retention::scrub, "Read sealed segments again")
            .gives::<retention::Scrub>(),
        Route::post("/retention/repair", Preserve, retention::repair, "Mend from the backup")
            .gives::<retention::Asked>(),
        Route::post("/retention/holds", Preserve, retention::place, "Place a legal hold")
            .takes::<retention::NewHold>()
            .gives::<retention::HoldShown>(),
        Route::post("/retention/holds/{hold}/lift", Preserve, retention::lift, "Lift a hold")
            .takes::<retention::LiftHold>()
            .gives::<retention::HoldShown>(),
    ]
}

fn privacy() -> Vec<Route> {
    vec![
        Route::get("/customers", ReadEvents, customers::find, "Who a customer's id stands for")
            .query::<customers::Ask>()
            .gives::<customers::Customers>()
            .with_past(),
        Route::get("/privacy/erasures", Erase, privacy::list, "Erasures of people")
            .gives::<privacy::Erasures>(),
        Route::post("/privacy/erasures", Erase, privacy::request, "Ask for a person's erasure")
            .takes::<privacy::NewErasure>()
            .gives_new::<privacy::Erasure>(),
        Route::post(
            "/privacy/erasures/{subject}/approve",
            Erase,
            privacy::approve,
            "Agree, as another person; the key is destroyed",
        )
        .gives::<privacy::Erasure>(),
        Route::post("/privacy/erasures/{subject}/deny", Erase, privacy::deny, "Refuse it")
            .takes::<privacy::WhyNot>()
            .gives::<privacy::Erasure>(),
        Route::post(
            "/events/{log}/{partition}/{seq}/reveal",
            Reveal,
            privacy::reveal,
            "Read an event's sealed values; a fact says so",
        )
        .takes::<privacy::Reveal>()
        .gives::<privacy::Revealed>(),
    ]
}
