//! Checks a bundle of evidence with nothing but the bundle, a public key and, better, a checkpoint kept elsewhere.

use custos_evidence::command::{self, Ask, CommandError};
use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

const USAGE: &str = "\
usage: custos-verify-evidence BUNDLE --key PUB [--checkpoint FILE]… [--json]

  BUNDLE             the file that 'custos log export-incident' wrote; - for standard input
  --key PUB          the public key, or a file of keys, as 'custos log key' printed them
  --checkpoint FILE  signed notes that you kept: the log must continue them
  --json             the verdict as one JSON value

Exit codes: 0 it holds, 1 it does not, 2 wrong use, 3 a file could not be read.
";

fn main() -> ExitCode {
    let Some((ask, json)) = parse(std::env::args().skip(1)) else {
        return told(io::stderr(), USAGE).map_or(ExitCode::from(2), |()| ExitCode::from(2));
    };
    let report = match command::check(&ask) {
        Ok(report) => report,
        Err(error) => {
            let text = format!("custos-verify-evidence: {}\n", chain(&error));
            return told(io::stderr(), &text)
                .map_or(ExitCode::from(3), |()| ExitCode::from(error.exit_code()));
        }
    };
    let mut text = if json {
        command::json(&report).to_string()
    } else {
        let lines: Vec<_> = command::text(&report).iter().map(|line| visible(line)).collect();
        lines.join("\n")
    };
    text.push('\n');
    match told(io::stdout(), &text) {
        Ok(()) if report.is_ok() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(1),
        Err(_) => ExitCode::from(3),
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(Ask, bool)> {
    let (mut bundle, mut key, mut checkpoints, mut json) = (None, None, Vec::new(), false);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => json = true,
            "--key" => key = Some(arguments.next()?),
            "--checkpoint" => checkpoints.push(PathBuf::from(arguments.next()?)),
            option if option.starts_with("--") => return None,
            _ if bundle.is_some() => return None,
            _ => bundle = Some(PathBuf::from(argument)),
        }
    }
    Some((Ask { bundle: bundle?, key: key?, checkpoints }, json))
}

fn told(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(text.as_bytes()).and_then(|()| to.flush())
}

fn chain(error: &CommandError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.extend([": ", &cause.to_string()]);
        source = cause.source();
    }
    text
}

/// Nothing from a bundle steers a terminal or turns its direction.
fn visible(line: &str) -> String {
    let hostile = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(line.len());
    for c in line.chars() {
        if hostile(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}
