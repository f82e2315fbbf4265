//! Builds the web console with npm when its sources changed, and leaves it in web/dist for the crate to embed.
//!
//! A digest of the sources beside the result makes a second profile, target folder or clippy run find the work
//! done. Without npm the build ends with what to do: a server with a blank page helps nobody.

use sha2::{Digest as _, Sha256};
use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::SystemTime,
};

/// What the result is made from; `node_modules` and `dist` are not.
const SOURCES: [&str; 8] = [
    "src",
    "public",
    "scripts",
    "index.html",
    "package.json",
    "package-lock.json",
    "tsconfig.json",
    "vite.config.ts",
];
/// Vite's own limit.
const NODE_MIN: (u32, u32) = (20, 19);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cannot build the web console: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let web = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("web");
    println!("cargo::rerun-if-changed=build.rs");
    for source in SOURCES {
        println!("cargo::rerun-if-changed=web/{source}");
    }
    // Named so that a deleted result is made again.
    println!("cargo::rerun-if-changed=web/dist/.sources");
    let sources = digest(&web, &SOURCES)?;
    if fs::read_to_string(web.join("dist/.sources")).is_ok_and(|built| built == sources) {
        return Ok(());
    }
    check_node()?;
    install(&web)?;
    npm(&web, &["run", "build"])?;
    // Dated far back: cargo runs this again when a file named above is newer than its last run.
    let stamp = web.join("dist/.sources");
    fs::write(&stamp, sources)?;
    fs::File::options().write(true).open(stamp)?.set_modified(SystemTime::UNIX_EPOCH)?;
    Ok(())
}

/// Packages are fetched only when the lock file is another one than they were fetched by.
fn install(web: &Path) -> Result<(), Box<dyn Error>> {
    let lock = digest(web, &["package.json", "package-lock.json"])?;
    let stamp = web.join("node_modules/.custos-lock");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    npm(web, &["ci", "--no-audit", "--no-fund"])?;
    fs::write(stamp, lock)?;
    Ok(())
}

fn check_node() -> Result<(), Box<dyn Error>> {
    let mend = format!(
        "it needs Node {}.{} or newer with npm on PATH. Debian's own is too old: take the package `node` \
         from the npm registry, or run deploy/quickstart.sh, which does",
        NODE_MIN.0, NODE_MIN.1
    );
    let output = Command::new("node").arg("--version").output();
    let output = output.map_err(|error| format!("node does not run ({error}); {mend}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let mut parts = text.trim_start_matches('v').split('.').map_while(|part| part.parse().ok());
    let found: (u32, u32) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if found < NODE_MIN {
        return Err(format!("node is {text}; {mend}").into());
    }
    Ok(())
}

/// Its output is shown only where it failed: cargo prints a build script's errors, not its chatter.
fn npm(web: &Path, arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    let output = Command::new("npm").args(arguments).current_dir(web).output();
    let output = output.map_err(|error| {
        format!("npm does not run ({error}); install it beside node, or run deploy/quickstart.sh")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    Err(format!("npm {} failed:\n{}", arguments.join(" "), String::from_utf8_lossy(&text)).into())
}

/// SHA-256 over names and bytes of every file below the named ones, in order.
fn digest(root: &Path, names: &[&str]) -> io::Result<String> {
    let mut files = Vec::new();
    for name in names {
        collect(&root.join(name), &mut files)?;
    }
    files.sort();
    let mut hash = Sha256::new();
    for file in files {
        let bytes = fs::read(&file)?;
        let name = file.strip_prefix(root).unwrap_or(&file).to_string_lossy().into_owned();
        hash.update(format!("{name}\0{}\0", bytes.len()));
        hash.update(bytes);
    }
    let mut hex = String::new();
    for byte in hash.finalize() {
        write!(hex, "{byte:02x}").map_err(io::Error::other)?;
    }
    Ok(hex)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}
