//! A disk that fails or fills under a running server: nothing acknowledged is lost, and people are told.

use anyhow::{Context, Result, ensure};
use custos_tests::{api::Api, custos::Node, data::skipped, process::free_port, root, wait};
use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(30);
/// RELIABILITY's promise for the end of a pause.
const RESUME_LIMIT: Duration = Duration::from_secs(5);
/// The catalog does not live on a disk without any room: see docs/reliability.md.
const LEFT_BYTES: u64 = 8 << 20;

fn line(n: u64) -> String {
    format!("{{\"message\":\"event {n}\",\"user\":\"user{}\"}}\n", n % 17)
}

/// The library that makes a sync fail, built by the system's C compiler.
fn failing_sync(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("failing_sync.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library);
    compiler.arg(root().join("tests/c/failing_sync.c")).arg("-ldl");
    ensure!(compiler.status().context("no C compiler: install cc")?.success(), "cc failed");
    Ok(library)
}

#[test]
fn a_failed_sync_ends_the_server_and_loses_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let library = failing_sync(folder.path())?;
    let (port, mut acked) = (free_port()?, 0_u64);
    let variables = [
        ("LD_PRELOAD".to_owned(), library.display().to_string()),
        ("CUSTOS_FAIL_SYNC".to_owned(), "25".to_owned()),
    ];
    let mut node = Node::start_with(folder.path(), port, "", variables.to_vec())?;
    let api = Api::new(&node, port)?;
    while api.ship("app", &line(acked)).is_ok() {
        acked += 1;
        ensure!(acked < 1_000, "no sync has failed");
    }
    let refused = (0..20).filter(|n| api.ship("app", &line(acked + n)).is_err()).count();
    ensure!(refused == 20, "acknowledged after a sync had failed");
    let status = node.wait(LIMIT)?;
    ensure!(!status.success() && status.code().is_some(), "it ended with {status}");
    let mut node = Node::start(folder.path(), port, "")?;
    Api::new(&node, port)?.ship("app", &line(acked))?;
    node.stop()?;
    let stored = node.stored()?;
    // The one that was being synced may be there, and was not acknowledged.
    ensure!(
        stored == acked + 1 || stored == acked + 2,
        "{acked} and one acknowledged, {stored} stored"
    );
    Ok(())
}

/// A small file system in memory, gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None`, said aloud, where mounting is not permitted.
    fn mount(at: PathBuf, mib: u32) -> Result<Option<Self>> {
        fs::create_dir_all(&at)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(&at);
        if !mount.output().is_ok_and(|ran| ran.status.success()) {
            skipped("mounting a small file system is not permitted");
            return Ok(None);
        }
        Ok(Some(Self(at)))
    }

    /// Takes all that is free but a few MiB, as whatever else writes there may: less than intake must leave.
    fn fill(&self) -> Result<()> {
        let stat = rustix::fs::statvfs(&self.0)?;
        let left = (stat.f_bavail * stat.f_frsize).saturating_sub(LEFT_BYTES);
        let mut ballast = File::create(self.0.join("ballast"))?;
        std::io::copy(&mut std::io::repeat(7).take(left), &mut ballast)?;
        Ok(())
    }

    fn make_room(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("ballast"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_full_disk_pauses_intake_until_there_is_room_again() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(disk) = SmallDisk::mount(folder.path().join("small"), 192)? else { return Ok(()) };
    let port = free_port()?;
    let mut node = Node::start(&disk.0, port, "[disk]\nkeep_free_mib = 24\n")?;
    let api = Api::new(&node, port)?;
    let fills = if std::env::var_os("CUSTOS_LONG").is_some() { 100 } else { 2 };
    let (mut acked, mut refused) = (0_u64, 0_u64);
    for fill in 0..fills {
        let ship_until = |wanted: bool, limit, acked: &mut u64, refused: &mut u64| {
            wait::until(&format!("fill {fill}: intake open: {wanted}"), limit, || {
                let taken = api.ship("app", &line(*acked)).is_ok();
                *acked += u64::from(taken);
                *refused += u64::from(!taken);
                Ok((taken == wanted).then_some(()))
            })
        };
        ship_until(true, LIMIT, &mut acked, &mut refused)?;
        disk.fill()?;
        ship_until(false, LIMIT, &mut acked, &mut refused)?;
        ensure!(node.metric("custos_intake_paused")? > 0.5, "fill {fill}: no metric of the pause");
        // A search reads, and is itself a fact of the journal.
        let found = api.get("/count?query=*")?;
        ensure!(found["count"].as_u64().is_some(), "fill {fill}: {found}");
        disk.make_room()?;
        ship_until(true, RESUME_LIMIT, &mut acked, &mut refused)?;
    }
    node.stop()?;
    let stored = node.stored()?;
    ensure!(stored == acked, "{acked} acknowledged, {stored} stored");
    println!("full disk: {fills} fills, {acked} acknowledged, {refused} refused, {stored} stored");
    Ok(())
}
