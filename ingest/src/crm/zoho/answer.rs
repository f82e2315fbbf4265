//! What Zoho's answers mean. Errors come with any status, 200 among them.

use crate::crm::{at, trouble::Trouble, web::Answer};
use custos_event::{Private, Timestamp};
use serde_json::Value;

/// An access token, and the host that it is for.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: Private<String>,
    pub(crate) api: String,
    pub(crate) expires_secs: i64,
}

/// How far an export is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    UnderWay,
    Finished(Vec<String>),
    Failed,
}

/// Credits count over 24 hours that slide: an hour later some are back.
const CREDITS_WAIT_SECS: i64 = 3_600;

/// Of the token endpoint.
pub(crate) fn grant(answer: &Answer) -> Result<Grant, Trouble> {
    let json = answer.json().unwrap_or_default();
    if let Some(error) = at(&json, "error").as_str() {
        // "Access Denied" is Zoho's word for too many tokens in ten minutes.
        if error.eq_ignore_ascii_case("access denied") {
            return Err(Trouble::Throttled("Zoho gives no more tokens for some minutes".into()));
        }
        return Err(Trouble::Refused(format!(
            "Zoho refuses the token: {error}; see that client_id, client_secret_file and refresh_token_file belong \
             together and that accounts is the data centre of the account"
        )));
    }
    status(answer)?;
    let text = |name: &str| at(&json, name).as_str().map(str::to_owned);
    let (Some(token), Some(api)) = (text("access_token"), text("api_domain")) else {
        return Err(Trouble::Odd(format!("Zoho's token answer has no token: {}", answer.status)));
    };
    let expires_secs = at(&json, "expires_in").as_i64().unwrap_or(3_600);
    let api = api.trim_end_matches('/').to_owned();
    Ok(Grant { token: Private::new(token), api, expires_secs })
}

/// Of a request with a token: trouble, if it is any.
pub(crate) fn trouble(answer: &Answer, now: Timestamp) -> Result<Value, Trouble> {
    let json = answer.json().unwrap_or_default();
    let code = at(&json, "code").as_str().unwrap_or_default();
    let said = || match at(&json, "message").as_str() {
        Some(message) if !code.is_empty() => format!("{code}: {message}"),
        _ => format!("{}: {}", answer.status, answer.shown()),
    };
    match code {
        "INVALID_TOKEN" | "AUTHENTICATION_FAILURE" => return Err(Trouble::Expired(said())),
        "OAUTH_SCOPE_MISMATCH" => {
            return Err(Trouble::Refused(format!(
                "{}; the refresh token needs the scopes ZohoCRM.settings.audit_logs.CREATE, \
                 ZohoCRM.settings.audit_logs.READ and ZohoFiles.files.READ; for contacts also \
                 ZohoCRM.coql.READ and ZohoCRM.modules.contacts.READ, or those of your module",
                said()
            )));
        }
        "NO_PERMISSION" => {
            return Err(Trouble::Refused(format!(
                "{}; the user of the refresh token has to be an administrator",
                said()
            )));
        }
        "INVALID_QUERY" | "INVALID_MODULE" => {
            let column = at(at(&json, "details"), "column_name").as_str().unwrap_or_default();
            return Err(Trouble::Refused(format!(
                "{} {}; see that the object and the fields of contacts are API names of your Zoho",
                said(),
                column.escape_debug()
            )));
        }
        "TOO_MANY_REQUESTS" | "LIMIT_EXCEEDED" => return Err(limit(&said(), now)),
        _ => {}
    }
    match answer.status {
        401 => Err(Trouble::Expired(said())),
        403 => Err(Trouble::Refused(format!("Zoho answered {}", said()))),
        429 => Err(limit(&said(), now)),
        _ => status(answer).map(|()| json),
    }
}

fn limit(said: &str, now: Timestamp) -> Trouble {
    let text = format!("Zoho answered {said}");
    if said.to_ascii_lowercase().contains("credit") {
        return Trouble::Quota { until: now.plus_secs(CREDITS_WAIT_SECS), text };
    }
    Trouble::Throttled(text)
}

fn status(answer: &Answer) -> Result<(), Trouble> {
    let said = || format!("Zoho answered {}: {}", answer.status, answer.shown());
    match answer.status {
        200..300 => Ok(()),
        429 => Err(Trouble::Throttled(said())),
        500.. => Err(Trouble::Unreachable(said())),
        _ => Err(Trouble::Odd(said())),
    }
}

/// The id of an export that was asked for.
pub(crate) fn scheduled(json: &Value) -> Result<String, Trouble> {
    let one = json.pointer("/audit_log_export/0").unwrap_or(json);
    let id = at(at(one, "details"), "id");
    let id = id.as_str().map(str::to_owned).or_else(|| id.as_u64().map(|id| id.to_string()));
    let is_id =
        |id: &String| !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_alphanumeric());
    id.filter(is_id).ok_or_else(|| {
        let said =
            format!("{} {}", at(one, "code").as_str().unwrap_or("no code"), at(one, "message"));
        Trouble::Odd(format!("Zoho did not schedule the export: {said}"))
    })
}

/// How far it is; the one asked for is alone in an array, or stands for itself.
pub(crate) fn export(answer: &Answer, json: &Value) -> Result<Export, Trouble> {
    if answer.status == 204 {
        return Ok(Export::UnderWay);
    }
    let one = at(json, "audit_log_export").get(0).unwrap_or(json);
    let status = at(one, "status").as_str().unwrap_or_default();
    match status.to_ascii_lowercase().as_str() {
        "scheduled" | "progress" | "in_progress" => Ok(Export::UnderWay),
        "finished" | "success" => {
            let links = at(one, "download_links").as_array().into_iter().flatten();
            Ok(Export::Finished(
                links.filter_map(|link| link.as_str().map(str::to_owned)).collect(),
            ))
        }
        "failed" => Ok(Export::Failed),
        _ => Err(Trouble::Odd(format!("Zoho says '{}' of an export", status.escape_debug()))),
    }
}

/// The records of one page of a query, and whether it is the last; a 204 has neither.
pub(crate) fn contacts(answer: &Answer, mut json: Value) -> Result<(Vec<Value>, bool), Trouble> {
    if answer.status == 204 {
        return Ok((Vec::new(), true));
    }
    let more = at(at(&json, "info"), "more_records").as_bool();
    match (json.get_mut("data").map(Value::take), more) {
        (Some(Value::Array(records)), Some(more)) => Ok((records, !more)),
        _ => Err(Trouble::Odd("Zoho answered a query without data and info.more_records".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into(), is_secret: false }
    }

    #[test]
    fn a_token_is_given_or_refused_with_status_200() {
        let given = answer(
            200,
            r#"{"access_token":"1000.a","api_domain":"https://www.zohoapis.eu/","token_type":"Bearer","expires_in":3600}"#,
        );
        let grant_of = grant(&given).unwrap();
        assert_eq!(
            (grant_of.api.as_str(), grant_of.expires_secs),
            ("https://www.zohoapis.eu", 3_600)
        );
        assert!(!format!("{grant_of:?}").contains("1000.a"));
        for (status, body, kind) in [
            (200, r#"{"error":"invalid_code"}"#, "refused"),
            (
                400,
                r#"{"error_description":"too many requests","error":"Access Denied","status":"failure"}"#,
                "throttled",
            ),
            (200, "{}", "odd"),
            (200, "<html>", "odd"),
            (503, "busy", "unreachable"),
        ] {
            assert_eq!(grant(&answer(status, body)).unwrap_err().kind(), kind, "{body}");
        }
    }

    #[test]
    fn what_the_token_endpoint_answers_is_not_told() {
        for (status, body) in
            [(404, "client_secret=s3cret"), (502, "s3cret"), (200, r#"{"access_token":"s3cret"}"#)]
        {
            let answer = Answer { is_secret: true, ..answer(status, body) };
            assert!(!grant(&answer).unwrap_err().text().contains("s3cret"), "{body}");
        }
    }

    #[test]
    fn every_refusal_says_what_comes_next() {
        for (status, body, kind) in [
            (401, r#"{"code":"INVALID_TOKEN","message":"invalid oauth token"}"#, "expired"),
            (401, "", "expired"),
            (401, r#"{"code":"OAUTH_SCOPE_MISMATCH","message":"x"}"#, "refused"),
            (403, r#"{"code":"NO_PERMISSION","message":"x"}"#, "refused"),
            (200, r#"{"code":"INVALID_TOKEN","message":"invalid oauth token"}"#, "expired"),
            (429, r#"{"code":"TOO_MANY_REQUESTS","message":"slow down"}"#, "throttled"),
            (429, r#"{"code":"LIMIT_EXCEEDED","message":"API credits exceeded"}"#, "quota"),
            (502, "<html>", "unreachable"),
            (404, "{}", "odd"),
        ] {
            let found = trouble(&answer(status, body), Timestamp(0)).unwrap_err();
            assert_eq!(found.kind(), kind, "{status} {body}");
        }
        assert!(trouble(&answer(204, ""), Timestamp(0)).is_ok());
    }

    #[test]
    fn a_page_of_a_query_says_whether_there_is_another() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let page = r#"{"data":[{"id":"1"}],"info":{"count":1,"more_records":true}}"#;
        let read = |status, text: &str| {
            contacts(&answer(status, text), serde_json::from_str(text).unwrap_or_default())
        };
        assert_eq!(read(200, page).unwrap(), (vec![json(r#"{"id":"1"}"#)], false));
        assert_eq!(read(204, "").unwrap(), (vec![], true));
        // An empty page would pass the stretch over.
        for odd in ["", "<html>", "{}", r#"{"data":[]}"#, r#"{"info":{"more_records":false}}"#] {
            assert_eq!(read(200, odd).unwrap_err().kind(), "odd", "{odd}");
        }
        let wrong = r#"{"code":"INVALID_QUERY","details":{"column_name":"Custmer_No"},"message":"column given seems to be invalid"}"#;
        let refused = trouble(&answer(400, wrong), Timestamp(0)).unwrap_err();
        assert!(refused.needs_somebody() && refused.text().contains("Custmer_No"), "{refused:?}");
    }

    #[test]
    fn an_export_is_scheduled_under_way_finished_or_failed() {
        let json = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let id = r#"{"audit_log_export":[{"code":"SCHEDULED","status":"success","details":{"id":"77"}}]}"#;
        assert_eq!(scheduled(&json(id)).unwrap(), "77");
        assert!(scheduled(&json(&id.replace("77", "../x"))).is_err());
        assert!(scheduled(&json("{}")).is_err());
        let ok = answer(200, "");
        for (text, expected) in [
            (r#"{"audit_log_export":[{"id":"77","status":"Progress"}]}"#, Export::UnderWay),
            (
                r#"{"id":"77","status":"Finished","download_links":["https://a/b"]}"#,
                Export::Finished(vec!["https://a/b".into()]),
            ),
            (r#"{"audit_log_export":[{"status":"Failed"}]}"#, Export::Failed),
        ] {
            assert_eq!(export(&ok, &json(text)).unwrap(), expected);
        }
        assert_eq!(export(&answer(204, ""), &Value::Null).unwrap(), Export::UnderWay);
        assert!(export(&ok, &json(r#"{"status":"Lost"}"#)).is_err());
    }
}
