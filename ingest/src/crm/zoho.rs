//! Zoho CRM, version 8 of its API: the audit log, exported stretch by stretch; and its contacts.

mod answer;
mod contacts;
mod rows;

use super::{
    Peer,
    contacts::ContactsConfig,
    place::{Row, Window},
    trouble::Trouble,
    turn::{Held, Turn},
    web::{Answer, Ask, Hosts},
};
use answer::{Export, Grant};
use custos_event::{Private, Timestamp};
use rows::{DOWNLOAD_BYTES_MAX, Gathering, Untimed};
use serde_json::{Value, json};
use std::time::Duration;

/// Zoho's own domains: its data centres' APIs and downloads are below them.
pub(crate) const DOMAINS: &[&str] = &[
    "zoho.com",
    "zoho.eu",
    "zoho.in",
    "zoho.com.au",
    "zoho.jp",
    "zoho.com.cn",
    "zoho.uk",
    "zoho.sa",
    "zohoapis.com",
    "zohoapis.eu",
    "zohoapis.in",
    "zohoapis.com.au",
    "zohoapis.jp",
    "zohoapis.com.cn",
    "zohoapis.uk",
    "zohoapis.sa",
    "zohoapis.ca",
    "zohocloud.ca",
];

/// The way to one account.
#[derive(Clone, Debug)]
pub struct ZohoConfig {
    /// `https://accounts.zoho.eu`: scheme and host of the account's data centre.
    pub accounts: String,
    pub client_id: String,
    pub client_secret: Private<String>,
    pub refresh_token: Private<String>,
}

/// How often is asked whether an export is done: after half a second, then twice as long, up to half a minute.
const POLL: Duration = Duration::from_millis(500);
const POLL_MAX: Duration = Duration::from_secs(30);
/// 60 times is half an hour.
const POLLS_MAX: u32 = 60;
/// 64 MiB at a quarter of a MiB a second, the slowest line of any branch.
const DOWNLOAD_WITHIN: Duration = Duration::from_secs(256);
const LINKS_MAX: usize = 16;

pub(crate) struct Zoho {
    config: ZohoConfig,
    held: Held<Grant>,
    untimed: Untimed,
}

impl Zoho {
    pub(crate) fn new(config: ZohoConfig) -> Self {
        Self { config, held: Held::default(), untimed: Untimed::default() }
    }

    pub(crate) fn hosts(config: &ZohoConfig) -> Hosts {
        Hosts { configured: vec![config.accounts.clone()], domains: DOMAINS }
    }

    fn grant(&mut self, turn: &Turn<'_>) -> Result<Grant, Trouble> {
        let config = &self.config;
        self.held.get(turn, || {
            let url = format!("{}/oauth/v2/token", config.accounts);
            let form = [
                ("grant_type", "refresh_token"),
                ("client_id", &config.client_id),
                ("client_secret", config.client_secret.reveal()),
                ("refresh_token", config.refresh_token.reveal()),
            ];
            let form_type = "application/x-www-form-urlencoded";
            let ask = Ask::post(&url, form_type, encode(&form)).secret();
            let grant = answer::grant(&turn.web.send(ask)?)?;
            // It decides where the token goes.
            turn.web.check(&grant.api)?;
            let secs = grant.expires_secs;
            Ok((grant, secs))
        })
    }

    /// Asks with a token, and once more with a new one where Zoho says that it is over.
    fn ask<T>(
        &mut self,
        turn: &Turn<'_>,
        send: impl Fn(&Grant) -> Result<Answer, Trouble>,
        read: impl Fn(Answer) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let grant = self.grant(turn)?;
        match send(&grant).and_then(&read) {
            Err(Trouble::Expired(_)) => {}
            other => return other,
        }
        self.held.forget();
        let grant = self.grant(turn)?;
        match send(&grant).and_then(&read) {
            Err(Trouble::Expired(why)) => {
                self.held.forget();
                Err(Trouble::Refused(format!("Zoho refuses a token that it has just given: {why}")))
            }
            other => other,
        }
    }

    fn schedule(&mut self, window: Window, turn: &Turn<'_>) -> Result<String, Trouble> {
        // A second more at either side, whether Zoho takes the ends in or not; rows outside are left to their own stretch.
        let value = [iso(window.from - 1), iso(window.to)];
        let body = json!({"audit_log_export": [{"criteria": {
            "field": {"api_name": "audited_time"}, "comparator": "between", "value": value,
        }}]});
        let send = |grant: &Grant| {
            let url = format!("{}/crm/v8/settings/audit_log_export", grant.api);
            turn.web.send(Ask::json(&url, &body).with("authorization", authorization(grant)))
        };
        self.ask(turn, send, |answer| answer::scheduled(&answer::trouble(&answer, turn.now())?))
    }

    fn finished(&mut self, id: &str, turn: &Turn<'_>) -> Result<Vec<String>, Trouble> {
        let send = |grant: &Grant| {
            let url = format!("{}/crm/v8/settings/audit_log_export/{id}", grant.api);
            turn.web.send(Ask::get(&url).with("authorization", authorization(grant)))
        };
        let read = |answer: Answer| {
            let json: Value = answer::trouble(&answer, turn.now())?;
            answer::export(&answer, &json)
        };
        let mut wait = POLL;
        for _ in 0..POLLS_MAX {
            turn.pause(wait)?;
            match self.ask(turn, send, read)? {
                Export::UnderWay => wait = (wait * 2).min(POLL_MAX),
                Export::Finished(links) => return Ok(links),
                Export::Failed => {
                    return Err(Trouble::Odd("Zoho says that its export failed".into()));
                }
            }
        }
        Err(Trouble::Unreachable("Zoho has not finished an export in half an hour".into()))
    }

    fn download(&mut self, link: &str, turn: &Turn<'_>) -> Result<Answer, Trouble> {
        let send = |grant: &Grant| {
            let url =
                if link.starts_with('/') { format!("{}{link}", grant.api) } else { link.into() };
            let ask =
                Ask { bytes_max: DOWNLOAD_BYTES_MAX, within: DOWNLOAD_WITHIN, ..Ask::get(&url) };
            turn.web.send(ask.with("authorization", authorization(grant)))
        };
        let read = |answer: Answer| {
            let is_word = answer.status != 200 || answer.body.starts_with(b"{");
            if is_word {
                answer::trouble(&answer, turn.now())?;
            }
            Ok(answer)
        };
        self.ask(turn, send, read)
    }

    /// One file after the other: none is held beside the next.
    fn gather(
        &mut self,
        links: &[String],
        mut into: Gathering<'_>,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        for link in links {
            rows::read(&self.download(link, turn)?.body, &mut into)?;
        }
        Ok(into.rows)
    }
}

impl Peer for Zoho {
    fn system(&self) -> &'static str {
        "zoho"
    }

    fn streams(&self) -> Vec<String> {
        vec!["audit".into()]
    }

    fn rows(&mut self, _: &str, window: Window, turn: &Turn<'_>) -> Result<Vec<Row>, Trouble> {
        let id = self.schedule(window, turn)?;
        let links = self.finished(&id, turn)?;
        if links.len() > LINKS_MAX {
            return Err(Trouble::TooLarge(format!("the export has more than {LINKS_MAX} files")));
        }
        let mut untimed = std::mem::take(&mut self.untimed);
        untimed.begin(window);
        let into = Gathering { window, untimed: &mut untimed, rows: Vec::new() };
        let rows = self.gather(&links, into, turn);
        self.untimed = untimed;
        rows
    }

    fn contacts(
        &mut self,
        config: &ContactsConfig,
        window: Window,
        turn: &Turn<'_>,
    ) -> Result<Vec<Row>, Trouble> {
        self.changed_contacts(config, window, turn)
    }
}

fn authorization(grant: &Grant) -> String {
    format!("Zoho-oauthtoken {}", grant.token.reveal())
}

fn iso(second: i64) -> String {
    Timestamp::from_secs(second).to_string().replace('Z', "+00:00")
}

/// A form; everything but letters and digits is written as its number.
fn encode(form: &[(&str, &str)]) -> Vec<u8> {
    let escape = |text: &str| {
        let letter = |byte: u8| {
            let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
        };
        text.bytes().map(letter).collect::<String>()
    };
    let pair = |(name, value): &(&str, &str)| format!("{name}={}", escape(value));
    form.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_forms_are_written_as_zoho_reads_them() {
        assert_eq!(iso(1_795_996_799), "2026-11-29T23:59:59+00:00");
        let form = encode(&[("a", "x y&z=%"), ("b", "1000.é")]);
        assert_eq!(form, b"a=x%20y%26z%3D%25&b=1000.%C3%A9");
    }
}
