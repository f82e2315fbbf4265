//! What 纷享销客 answers mean: the status is always 200, the word is `errorCode`.

use crate::crm::{at, trouble::Trouble, web::Answer};
use custos_event::{Private, Timestamp};
use serde_json::Value;

/// An access token and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) token: Private<String>,
    /// The company's account.
    pub(crate) account: String,
    pub(crate) user: String,
    pub(crate) expires_secs: i64,
}

/// Beijing's day is what quotas count.
const ZONE_SECS: i64 = 8 * 3_600;
const DAY_SECS: i64 = 86_400;

/// The JSON of an answer that is none of trouble.
pub(crate) fn read(answer: &Answer, now: Timestamp) -> Result<Value, Trouble> {
    match answer.status {
        200 => {}
        429 => return Err(Trouble::Throttled("纷享销客 answered 429".into())),
        500.. => return Err(Trouble::Unreachable(format!("纷享销客 answered {}", answer.status))),
        status => {
            return Err(Trouble::Odd(format!("纷享销客 answered {status}: {}", answer.shown())));
        }
    }
    let odd =
        || Trouble::Odd(format!("纷享销客 answered no JSON with an errorCode: {}", answer.shown()));
    let json = answer.json().ok_or_else(odd)?;
    let code = at(&json, "errorCode").as_i64().ok_or_else(odd)?;
    let message: String =
        at(&json, "errorMessage").as_str().unwrap_or("").chars().take(200).collect();
    let said = format!("纷享销客 answered errorCode {code}: {}", message.escape_debug());
    Err(match code {
        0 => return Ok(json),
        20_016 => Trouble::Expired(said),
        14_001 | 30_004 => Trouble::Throttled(said),
        30_002 => Trouble::Quota { until: end_of_day(now), text: said },
        30_003 => Trouble::Refused(format!(
            "{said}; the account has no quota of calls: buy one, or raise it"
        )),
        _ => Trouble::Odd(said),
    })
}

fn end_of_day(now: Timestamp) -> Timestamp {
    let local = now.0.div_euclid(custos_event::time::NANOS_PER_SEC) + ZONE_SECS;
    // A minute into the new day, should its clock be behind ours.
    Timestamp::from_secs((local.div_euclid(DAY_SECS) + 1) * DAY_SECS - ZONE_SECS + 60)
}

/// Of the token endpoint: what it refuses is refused until somebody acts.
pub(crate) fn grant(answer: &Answer, now: Timestamp) -> Result<Grant, Trouble> {
    let json = read(answer, now).map_err(|trouble| {
        let (Trouble::Expired(why) | Trouble::Odd(why)) = &trouble else { return trouble };
        if answer.status != 200 {
            return trouble;
        }
        let mend = "see that app_id, app_secret_file and permanent_code_file belong together";
        Trouble::Refused(format!("{why}; {mend}"))
    })?;
    let text = |name: &str| at(&json, name).as_str().map(str::to_owned);
    let Some(token) = text("accessToken").or_else(|| text("corpAccessToken")) else {
        return Err(Trouble::Odd("纷享销客 gave an answer without a token".into()));
    };
    Ok(Grant {
        token: Private::new(token),
        account: text("ea").or_else(|| text("corpId")).unwrap_or_default(),
        user: text("openUserId").unwrap_or_default(),
        expires_secs: at(&json, "expiresIn").as_i64().unwrap_or(7_200),
    })
}

/// The records of one page of a query.
pub(crate) fn records(json: &Value) -> Result<&Vec<Value>, Trouble> {
    let list = at(at(json, "data"), "dataList").as_array();
    list.ok_or_else(|| Trouble::Odd("纷享销客 answered a query without data.dataList".into()))
}

/// How many records a query finds in all, where that is told.
pub(crate) fn total(json: &Value) -> Option<u64> {
    at(at(json, "data"), "total").as_u64()
}

/// The entries of one page of a record's log, and how many pages there are.
pub(crate) fn changes(json: &Value) -> Result<(&Vec<Value>, u64), Trouble> {
    let data = at(json, "data");
    let list = at(data, "modifyRecordList").as_array().ok_or_else(|| {
        Trouble::Odd("纷享销客 answered for a change log without data.modifyRecordList".into())
    })?;
    Ok((list, at(at(data, "pageInfo"), "pageCount").as_u64().unwrap_or(u64::from(list.is_empty()))))
}

/// Milliseconds, as a number or as a text.
pub(crate) fn millis(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into(), is_secret: false }
    }

    #[test]
    fn every_error_code_says_what_comes_next() {
        let now = Timestamp::from_secs(1_795_996_800);
        for (body, kind) in [
            (r#"{"errorCode":20016,"errorMessage":"token"}"#, "expired"),
            (r#"{"errorCode":14001}"#, "throttled"),
            (r#"{"errorCode":30004}"#, "throttled"),
            (r#"{"errorCode":30002,"errorMessage":"超出每日限额"}"#, "quota"),
            (r#"{"errorCode":30003}"#, "refused"),
            (r#"{"errorCode":10001}"#, "odd"),
            (r#"{"data":{}}"#, "odd"),
            ("<html>", "odd"),
        ] {
            assert_eq!(read(&answer(200, body), now).unwrap_err().kind(), kind, "{body}");
        }
        assert_eq!(read(&answer(502, ""), now).unwrap_err().kind(), "unreachable");
        assert!(read(&answer(200, r#"{"errorCode":0}"#), now).is_ok());
    }

    #[test]
    fn a_days_quota_is_waited_for_until_the_day_ends_in_beijing() {
        let day = |text: &str| end_of_day(text.parse().unwrap()).to_string();
        assert_eq!(day("2026-11-30T00:00:00Z"), "2026-11-30T16:01:00Z");
        assert_eq!(day("2026-11-30T15:59:59Z"), "2026-11-30T16:01:00Z");
        assert_eq!(day("2026-11-30T16:00:00Z"), "2026-12-01T16:01:00Z");
    }

    #[test]
    fn both_forms_of_a_token_are_read_and_a_refusal_names_the_settings() {
        let now = Timestamp(0);
        let new = r#"{"errorCode":0,"accessToken":"t","expiresIn":7200,"openUserId":"FSUID_1","ea":"bank"}"#;
        let old = r#"{"errorCode":0,"corpAccessToken":"t","corpId":"FSCID_1","expiresIn":7200}"#;
        let one = grant(&answer(200, new), now).unwrap();
        assert_eq!(
            (one.account.as_str(), one.user.as_str(), one.expires_secs),
            ("bank", "FSUID_1", 7_200)
        );
        assert_eq!(grant(&answer(200, old), now).unwrap().account, "FSCID_1");
        let refused =
            grant(&answer(200, r#"{"errorCode":10004,"errorMessage":"appId"}"#), now).unwrap_err();
        assert!(refused.kind() == "refused" && refused.text().contains("permanent_code_file"));
        assert_eq!(
            grant(&answer(200, r#"{"errorCode":14001}"#), now).unwrap_err().kind(),
            "throttled"
        );
        assert_eq!(grant(&answer(200, r#"{"errorCode":0}"#), now).unwrap_err().kind(), "odd");
    }
}
