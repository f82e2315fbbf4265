//! A running server, asked over its API: `--server URL`.

use crate::{auth::token, exit::Failure, folder::Folder, output::Output};
use anyhow::{Context as _, anyhow};
use clap::Args;
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read, Write};
use ureq::{
    Body,
    http::{Request, Response},
};

/// Which server to ask instead of opening the data folder.
#[derive(Args, Clone, Debug)]
pub(crate) struct Server {
    /// Ask this running server instead of opening the data folder, as in <http://127.0.0.1:8080>.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// The server's token [default: keys/api.token of the data folder].
    #[arg(long, value_name = "T", requires = "server")]
    token: Option<String>,
}

/// One answer of a server, line by line.
pub(crate) struct Remote<'s> {
    url: &'s str,
    token: String,
}

impl Server {
    /// The server that was named, if one was.
    pub(crate) fn chosen(&self, folder: &Folder) -> Result<Option<Remote<'_>>, Failure> {
        let Some(url) = &self.server else { return Ok(None) };
        let token = match &self.token {
            Some(token) => token.clone(),
            None => token::read(folder)
                .context("no --token, and none to read in keys/api.token of the data folder")
                .map_err(Failure::usage)?,
        };
        Ok(Some(Remote { url: url.trim_end_matches('/'), token }))
    }
}

impl Remote<'_> {
    /// Asks for something else than lines; the answer's JSON.
    pub(crate) fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.token))
            .header("Content-Type", "application/json")
            .body(if body.is_null() { String::new() } else { body.to_string() })
            .map_err(Failure::usage)?;
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .build()
            .into();
        let answer = agent.run(request);
        let mut answer = self.success(answer)?;
        let text = answer.body_mut().read_to_string().map_err(Failure::input)?;
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Copies the JSON lines of an answer to stdout.
    pub(crate) fn print(&self, path: &str, parameters: &[(&str, String)]) -> Result<(), Failure> {
        let mut output = Output::new();
        for line in BufReader::new(self.get(path, parameters)?).lines() {
            output.raw(&line?)?;
            output.raw("\n")?;
        }
        Ok(output.flush()?)
    }

    /// Copies an answer as it comes.
    pub(crate) fn copy(
        &self,
        path: &str,
        parameters: &[(&str, String)],
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        std::io::copy(&mut self.get(path, parameters)?, out)?;
        Ok(out.flush()?)
    }

    fn get(&self, path: &str, parameters: &[(&str, String)]) -> Result<impl Read, Failure> {
        let mut request = ureq::get(format!("{}{path}", self.url))
            .header("Authorization", format!("Bearer {}", self.token))
            .config()
            .http_status_as_error(false)
            .build();
        for (name, value) in parameters {
            request = request.query(name, value);
        }
        let answer = self.success(request.call())?;
        Ok(answer.into_body().into_reader())
    }
}

impl Remote<'_> {
    fn success(&self, answer: Answer) -> Result<Response<Body>, Failure> {
        let reached = || format!("cannot reach {}", self.url);
        let mut answer = answer.with_context(reached).map_err(Failure::input)?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let text = answer.body_mut().read_to_string().unwrap_or_default();
        let status = answer.status().as_u16();
        let error = anyhow!("{} answered {status}: {}", self.url, detail(&text));
        Err(if status < 500 { Failure::usage(error) } else { Failure::store(error) })
    }
}

type Answer = Result<Response<Body>, ureq::Error>;

/// What a problem says; else the answer as it came.
fn detail(text: &str) -> String {
    let problem: Option<Value> = serde_json::from_str(text).ok();
    let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str());
    detail.unwrap_or(text.trim()).to_owned()
}
