//! 纷享销客 (Fxiaoke): records by when they were last changed, and what was changed in them.

mod answer;
mod rows;

use super::{
    Peer,
    contacts::ContactsConfig,
    hex,
    place::{Row, Window},
    trouble::Trouble,
    turn::{Held, Turn},
    web::{Ask, Hosts},
    without_nothing,
};
use answer::Grant;
use custos_event::Private;
use serde_json::{Value, json};

/// What is read of each object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Every entry of the change logs: a call for each record that was changed, beside those that find them.
    #[default]
    Changes,
    /// That a record was changed, and by whom last: a call for a hundred of them.
    Records,
}

/// How the token is asked for and shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Login {
    #[default]
    OAuth,
    /// As before 2024: `corpAccessToken`.
    Corp,
}

/// The way to one company's account.
#[derive(Clone, Debug)]
pub struct FxiaokeConfig {
    /// `https://open.fxiaoke.com`: scheme and host.
    pub url: String,
    pub app_id: String,
    pub app_secret: Private<String>,
    pub permanent_code: Private<String>,
    pub login: Login,
    /// In whose name is read; with OAuth the token says it.
    pub user: Option<String>,
    /// `ContactObj`, `AccountObj`, …: a stream each.
    pub objects: Vec<String>,
    pub detail: Detail,
    /// Fields of a record that are kept beside who and when; with [`Detail::Records`].
    pub fields: Vec<String>,
}

/// As many as one query gives.
const PAGE_RECORDS: usize = 100;
/// Changed records of one stretch: 200 pages of a query. More is asked for in shorter stretches.
const RECORDS_MAX: usize = 20_000;
const LOG_PAGE_ENTRIES: u64 = 100;
/// Of one record in one stretch: 10,000 changes.
const LOG_PAGES_MAX: u64 = 100;

pub(crate) struct Fxiaoke {
    config: FxiaokeConfig,
    held: Held<Grant>,
}

impl Fxiaoke {
    pub(crate) fn new(config: FxiaokeConfig) -> Self {
        Self { config, held: Held::default() }
    }

    pub(crate) fn hosts(config: &FxiaokeConfig) -> Hosts {
        Hosts { configured: vec![config.url.clone()], domains: &[] }
    }

    fn grant(&mut self, turn: &Turn<'_>) -> Result<Grant, Trouble> {
        let config = &self.config;
        self.held.get(turn, || {
            let path = match config.login {
                Login::OAuth => "/oauth2.0/token",
                Login::Corp => "/cgi/corpAccessToken/get/V2",
            };
            let grant_type = (config.login == Login::OAuth).then_some("app_secret");
            let body = without_nothing(json!({
                "appId": config.app_id,
                "appSecret": config.app_secret.reveal(),
                "permanentCode": config.permanent_code.reveal(),
                "grantType": grant_type,
            }));
            let url = format!("{}{path}?thirdTraceId={}", config.url, trace());
            let grant =
                answer::grant(&turn.web.send(Ask::json(&url, &body).secret())?, turn.now())?;
            let secs = grant.expires_secs;
            Ok((grant, secs))
        })
    }

    fn send(
        &self,
        path: &str,
        data: &Value,
        grant: &Grant,
        turn: &Turn<'_>,
    ) -> Result<Value, Trouble> {
        let url = format!("{}{path}?thirdTraceId={}", self.config.url, trace());
        let user = self.config.user.as_ref().unwrap_or(&grant.user);
        let token = grant.token.reveal();
        // Records are people's data: nothing of an answer that does not read is told.
        let ask = match self.config.login {
            Login::OAuth => Ask::json(&url, &json!({ "data": data }))
                .secret()
                .with("authorization", format!("Bearer {token}"))
                .with("x-fs-ea", grant.account.clone())
                .with("x-fs-userid", user.clone()),
            Login::Corp => {
                let body = json!({
                    "corpAccessToken": token, "corpId": grant.account, "currentOpenUserId": user, "data": data,
                });
                Ask::json(&url, &body).secret()
            }
        };
        answer::read(&turn.web.send(ask)?, turn.now())
    }

    /// Asks with a token, and once more with a new one where it is said to be over.
    fn ask(&mut self, path: &str, data: &Value, turn: &Turn<'_>) -> Result<Value, Trouble> {
        let grant = self.grant(turn)?;
        match self.send(path, data, &grant, turn) {
            Err(Trouble::Expired(_)) => self.held.forget(),
            other => return other,
        }
        let grant = self.grant(turn)?;
        match self.send(path, data, &grant, turn) {
            Err(Trouble::Expired(why)) => {
                self.held.forget();
                Err(Trouble::Refused(format!(
                    "纷享销客 refuses a token that it has just given: {why}"
                )))
            }
            other => other,
        }
    }

    /// What was changed since `window` began, page after page by `_id`: whatever is changed meanwhile, no record that stays
    /// is passed over.
    fn records(
        &mut self,
        object: &str,
        (window, until): (Window, Until),
        turn: &Turn<'_>,
    ) -> Result<Vec<Value>, Trouble> {
        let mut all: Vec<Value> = Vec::new();
        loop {
            let last = all.last().and_then(|record| record["_id"].as_str()).map(str::to_owned);
            let query = query(object, window, until, last.as_deref());
            let json = self.ask("/cgi/crm/v2/data/query", &query, turn)?;
            let page = answer::records(&json)?;
            // What says at once that it is too much is not read first.
            let total = answer::total(&json).filter(|_| until == Until::ItsEnd);
            if total.is_some_and(|total| total > RECORDS_MAX as u64) {
                return Err(too_many(object));
            }
            if let Some(known) = &last
                && page
                    .iter()
                    .any(|record| record["_id"].as_str().is_none_or(|id| id <= known.as_str()))
            {
                let why =
                    format!("纷享销客 gives records of {object} that do not follow by their _id");
                return Err(Trouble::Odd(why));
            }
            let is_last = page.len() < PAGE_RECORDS;
            all.extend(page.iter().cloned());
            if is_last {
                return Ok(all);
            }
            if all.len() >= RECORDS_MAX {
                return Err(too_many(object));
            }
        }
    }

    fn changes(
        &mut self,
        (object, id): (&str, &str),
        window: Window,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        let mut all = Vec::new();
        for number in 1..=LOG_PAGES_MAX {
            let data = json!({
                "apiName": object, "objectId": id, "pageNumber": number, "pageSize": LOG_PAGE_ENTRIES,
                "operationTimeFrom": window.from * 1_000, "operationTimeTo": window.to * 1_000,
            });
            let json = self.ask("/cgi/crm/v2/object/getNewLogInfoListForWeb", &data, turn)?;
            let (entries, pages) = answer::changes(&json)?;
            all.extend(
                entries.iter().filter_map(|entry| rows::of_change(object, id, entry, window)),
            );
            if entries.is_empty() || number >= pages {
                return Ok(all);
            }
        }
        Err(Trouble::TooLarge(format!("a record of {object} has too many changes in one stretch")))
    }
}

fn too_many(object: &str) -> Trouble {
    let why = format!("more than {RECORDS_MAX} records of {object} were changed in one stretch");
    Trouble::TooLarge(why)
}

/// Up to when records are asked for that were changed since a window began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    ItsEnd,
    /// Where their logs are asked for: a log has an entry of the window also where the record was changed again after it.
    Now,
}

fn query(object: &str, window: Window, until: Until, after: Option<&str>) -> Value {
    let filter = |name: &str, operator: &str, value: String| json!({"field_name": name, "field_values": [value], "operator": operator});
    let mut filters = vec![filter("last_modified_time", "GTE", (window.from * 1_000).to_string())];
    if until == Until::ItsEnd {
        filters.push(filter("last_modified_time", "LT", (window.to * 1_000).to_string()));
    }
    if let Some(id) = after {
        filters.push(filter("_id", "GT", id.to_owned()));
    }
    json!({
        "dataObjectApiName": object,
        "search_query_info": {
            "offset": 0, "limit": PAGE_RECORDS, "filters": filters,
            "orders": [{"fieldName": "_id", "isAsc": true}],
        },
    })
}

/// By which their support finds a request.
fn trace() -> String {
    let mut bytes = [0_u8; 16];
    // Nothing depends on it being told apart.
    getrandom::fill(&mut bytes).ok();
    hex(&bytes)
}

impl Peer for Fxiaoke {
    fn system(&self) -> &'static str {
        "fxiaoke"
    }

    fn streams(&self) -> Vec<String> {
        self.config.objects.clone()
    }

    fn rows(&mut self, object: &str, window: Window, turn: &Turn<'_>) -> Result<Vec<Row>, Trouble> {
        if self.config.detail == Detail::Records {
            let records = self.records(object, (window, Until::ItsEnd), turn)?;
            let row = |record| rows::of_record(object, record, window, &self.config.fields);
            return Ok(records.iter().filter_map(row).collect());
        }
        let records = self.records(object, (window, Until::Now), turn)?;
        let mut all = Vec::new();
        for id in records.iter().filter_map(|record| record["_id"].as_str()) {
            all.extend(self.changes((object, id), window, turn)?);
        }
        Ok(all)
    }

    fn contacts(
        &mut self,
        config: &ContactsConfig,
        window: Window,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        let records = self.records(&config.object, (window, Until::ItsEnd), turn)?;
        Ok(records.iter().filter_map(|record| rows::of_contact(config, record, window)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_by_id_and_change_logs_are_looked_for_beyond_the_windows_end() {
        let window = Window { from: 1_700, to: 1_800 };
        let fields = |until, after| {
            let query = query("ContactObj", window, until, after);
            let filters = query["search_query_info"]["filters"].as_array().unwrap().clone();
            let short = |filter: &Value| {
                format!(
                    "{} {} {}",
                    filter["field_name"], filter["operator"], filter["field_values"][0]
                )
                .replace('"', "")
            };
            filters.iter().map(short).collect::<Vec<_>>()
        };
        assert_eq!(
            fields(Until::ItsEnd, Some("a9")),
            ["last_modified_time GTE 1700000", "last_modified_time LT 1800000", "_id GT a9"]
        );
        assert_eq!(fields(Until::Now, None), ["last_modified_time GTE 1700000"]);
        assert_eq!(trace().len(), 32);
    }
}
