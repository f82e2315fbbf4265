//! A disk in memory: what was not synced is dropped or garbled when its power goes, and any step can be
//! made to fail. The store above it is the very same as on a file system.

use super::{Dice, inode::Inode, nonces::Nonces};
pub use super::{
    inode::Mood,
    plan::{Plan, STEPS, Step, What},
};
use custos_store::medium::{How, Locking, Medium, MediumFile};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(u64),
}

#[derive(Clone)]
enum NameOp {
    Put(PathBuf, Node),
    Rename(PathBuf, PathBuf, Node),
    Gone(PathBuf),
}

impl NameOp {
    fn dir(&self) -> Option<&Path> {
        let (Self::Put(path, _) | Self::Rename(_, path, _) | Self::Gone(path)) = self;
        path.parent()
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Self::Put(path, node) => drop(names.insert(path.clone(), *node)),
            Self::Gone(path) => drop(names.remove(path)),
            Self::Rename(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, Node>,
    stored_names: BTreeMap<PathBuf, Node>,
    /// Changes of names that no sync of their folder has made durable, in order.
    owed: Vec<NameOp>,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    locks: BTreeSet<PathBuf>,
    plan: Option<Plan>,
    power_gone: bool,
    /// The mutant: a sync of a file says yes and does nothing.
    syncs_lie: bool,
    /// How long each sync of a file takes.
    sync_takes: Duration,
    room: Option<usize>,
    /// Shared with the disks that come of this one.
    nonces: Arc<Mutex<Nonces>>,
}

#[derive(Clone, Default)]
pub struct Twin(Arc<Mutex<State>>);

impl std::fmt::Debug for Twin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Twin")
    }
}

fn no_power() -> io::Error {
    io::Error::other("the power is gone")
}

fn not_found() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

/// What a step is to do: all of it, or half and then fail.
enum Turn {
    Whole,
    Half(io::Error),
}

impl State {
    /// Says how far a step goes. `Err` is a step that is not even begun.
    fn turn(&mut self, step: Step) -> io::Result<Turn> {
        if self.power_gone {
            return Err(no_power());
        }
        let Some(plan) = self.plan.as_mut().filter(|p| p.step.is_none_or(|s| s == step)) else {
            return Ok(Turn::Whole);
        };
        plan.nth -= 1;
        if plan.nth > 0 {
            return Ok(Turn::Whole);
        }
        let what = plan.what;
        self.plan = None;
        match what {
            What::Eio => Ok(Turn::Half(io::Error::from_raw_os_error(5))),
            What::Enospc => Ok(Turn::Half(io::Error::from_raw_os_error(28))),
            What::PowerBefore => {
                self.power_gone = true;
                if step == Step::Write { Ok(Turn::Half(no_power())) } else { Err(no_power()) }
            }
            What::PowerAfter => {
                self.power_gone = true;
                Ok(Turn::Whole)
            }
        }
    }

    /// The step was done; whether anybody is still there to hear of it.
    fn done(&self) -> io::Result<()> {
        if self.power_gone { Err(no_power()) } else { Ok(()) }
    }

    fn used(&self) -> usize {
        let len = |node: &Node| match node {
            Node::Dir => 0,
            Node::File(id) => self.inodes.get(id).map_or(0, |inode| inode.len),
        };
        self.names.values().map(len).sum()
    }

    fn check_room(&self, more: usize) -> io::Result<()> {
        match self.room {
            Some(room) if self.used() + more > room => Err(io::Error::from_raw_os_error(28)),
            _ => Ok(()),
        }
    }

    fn change_name(&mut self, op: NameOp) {
        op.apply(&mut self.names);
        self.owed.push(op);
    }

    fn inode(&mut self, id: u64) -> &mut Inode {
        self.inodes.entry(id).or_default()
    }

    /// A step on names, which is done whole or not at all.
    fn names_step(&mut self, step: Step, op: impl FnOnce(&mut Self)) -> io::Result<()> {
        match self.turn(step)? {
            Turn::Half(error) => Err(error),
            Turn::Whole => {
                op(self);
                self.done()
            }
        }
    }
}

impl Twin {
    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A disk whose syncs of files say yes and do nothing.
    pub fn without_sync() -> Self {
        let twin = Self::default();
        twin.lock_state().syncs_lie = true;
        twin
    }

    /// A disk whose syncs of files take so long: what does not wait for them overtakes them.
    pub fn with_slow_syncs(takes: Duration) -> Self {
        let twin = Self::default();
        twin.lock_state().sync_takes = takes;
        twin
    }

    pub fn arm(&self, plan: Plan) {
        self.lock_state().plan = Some(plan);
    }

    /// True when the planned thing has happened.
    pub fn struck(&self) -> bool {
        self.lock_state().plan.is_none()
    }

    pub fn pull_the_plug(&self) {
        self.lock_state().power_gone = true;
    }

    /// How much all files together may hold; `None`: no end.
    pub fn set_room(&self, room: Option<usize>) {
        self.lock_state().room = room;
    }

    pub fn used(&self) -> usize {
        self.lock_state().used()
    }

    /// Goes on counting nonces with those of another disk.
    pub fn share_nonces(&self, with: &Self) {
        let nonces = Arc::clone(&with.lock_state().nonces);
        self.lock_state().nonces = nonces;
    }

    /// How many pairs of key and nonce were written under, and how often one with two ciphertexts.
    pub fn nonces(&self) -> (usize, u64) {
        let state = self.lock_state();
        let nonces = state.nonces.lock().unwrap_or_else(PoisonError::into_inner);
        (nonces.pairs(), nonces.doubled)
    }

    /// The disk as it is found when the power is back; this one is left as it is.
    pub fn after_power_loss(&self, mood: Mood, dice: &mut Dice) -> Self {
        let state = self.lock_state();
        let mut names = state.stored_names.clone();
        for op in state.owed.iter().filter(|_| mood.keeps(dice)) {
            op.apply(&mut names);
        }
        let there = names.clone();
        names.retain(|path, _| {
            path.ancestors().skip(1).all(|dir| dir.parent().is_none() || there.contains_key(dir))
        });
        let mut inodes = BTreeMap::new();
        for node in names.values() {
            if let Node::File(id) = node {
                let inode = state.inodes.get(id).cloned().unwrap_or_default();
                inodes.insert(*id, inode.after_power_loss(mood, dice));
            }
        }
        let image = State {
            stored_names: names.clone(),
            names,
            inodes,
            next_inode: state.next_inode,
            syncs_lie: state.syncs_lie,
            room: state.room,
            nonces: Arc::clone(&state.nonces),
            ..State::default()
        };
        Self(Arc::new(Mutex::new(image)))
    }

    /// Every file with its bytes, without the zeros behind them.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let state = self.lock_state();
        let of = |(path, node): (&PathBuf, &Node)| match node {
            Node::Dir => None,
            Node::File(id) => Some((path.clone(), state.inodes.get(id)?.bytes.clone())),
        };
        state.names.iter().filter_map(of).collect()
    }
}

struct TwinFile {
    twin: Twin,
    inode: u64,
}

impl std::fmt::Debug for TwinFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TwinFile({})", self.inode)
    }
}

struct Held(Twin, PathBuf);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock_state().locks.remove(&self.1);
    }
}

impl Medium for Twin {
    fn open(&self, path: &Path, how: How) -> io::Result<Box<dyn MediumFile>> {
        let mut state = self.lock_state();
        if state.power_gone {
            return Err(no_power());
        }
        let inode = match (state.names.get(path).copied(), how) {
            (Some(Node::Dir), _) => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            (Some(Node::File(_)), How::New) => {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            (Some(Node::File(inode)), How::Anew) => {
                state.names_step(Step::Truncate, |state| state.inode(inode).set_len(0))?;
                inode
            }
            (Some(Node::File(inode)), _) => inode,
            (None, How::Read | How::Write) => return Err(not_found()),
            (None, How::New | How::Anew) => {
                state.next_inode += 1;
                let inode = state.next_inode;
                state.names_step(Step::Create, |state| {
                    state.change_name(NameOp::Put(path.into(), Node::File(inode)));
                })?;
                inode
            }
        };
        Ok(Box::new(TwinFile { twin: self.clone(), inode }))
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<PathBuf>> {
        let state = self.lock_state();
        if state.power_gone {
            return Err(no_power());
        }
        if state.names.get(dir) != Some(&Node::Dir) {
            return Err(not_found());
        }
        Ok(state.names.keys().filter(|path| path.parent() == Some(dir)).cloned().collect())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.parent().is_none() || self.lock_state().names.get(path) == Some(&Node::Dir)
    }

    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.lock_state().names_step(Step::MakeDir, |state| {
            state.change_name(NameOp::Put(dir.into(), Node::Dir));
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        let node = state.names.get(from).copied().ok_or_else(not_found)?;
        state.names_step(Step::Rename, |state| {
            state.change_name(NameOp::Rename(from.into(), to.into(), node));
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock_state();
        state.names.get(path).ok_or_else(not_found)?;
        state.names_step(Step::Remove, |state| state.change_name(NameOp::Gone(path.into())))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.lock_state().names_step(Step::SyncDir, |state| {
            let (mine, others) =
                std::mem::take(&mut state.owed).into_iter().partition(|op| op.dir() == Some(dir));
            state.owed = others;
            let mine: Vec<NameOp> = mine;
            for op in &mine {
                op.apply(&mut state.stored_names);
            }
        })
    }

    fn modified(&self, path: &Path) -> io::Result<SystemTime> {
        self.lock_state().names.get(path).ok_or_else(not_found)?;
        Ok(SystemTime::UNIX_EPOCH)
    }

    fn free_bytes(&self, _: &Path) -> io::Result<u64> {
        let state = self.lock_state();
        Ok(state.room.map_or(u64::MAX, |room| room.saturating_sub(state.used()) as u64))
    }

    fn lock(&self, path: &Path) -> io::Result<Locking> {
        let mut state = self.lock_state();
        if state.power_gone {
            return Err(no_power());
        }
        Ok(if state.locks.insert(path.into()) {
            Locking::Taken(Box::new(Held(self.clone(), path.into())))
        } else {
            Locking::Held(Some(std::process::id()))
        })
    }

    fn is_locked(&self, path: &Path) -> bool {
        self.lock_state().locks.contains(path)
    }
}

impl MediumFile for TwinFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.twin.lock_state().inode(self.inode).len as u64)
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.twin.lock_state();
        if state.power_gone {
            return Err(no_power());
        }
        let inode = state.inode(self.inode);
        let at = usize::try_from(at).unwrap_or(usize::MAX).min(inode.len);
        let count = into.len().min(inode.len - at);
        let stored = inode.bytes.get(at..).unwrap_or_default();
        let written = stored.len().min(count);
        into[..written].copy_from_slice(&stored[..written]);
        into[written..count].fill(0);
        Ok(count)
    }

    fn write_at(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        let mut state = self.twin.lock_state();
        let turn = state.turn(Step::Write)?;
        let more = (at + bytes.len()).saturating_sub(state.inode(self.inode).len);
        let turn = match state.check_room(more) {
            Err(full) => Turn::Half(full),
            Ok(()) => turn,
        };
        {
            let file = if at == 0 { bytes } else { state.inode(self.inode).bytes.as_slice() };
            let file = file.get(..file.len().min(1 << 16)).unwrap_or_default().to_vec();
            state.nonces.lock().unwrap_or_else(PoisonError::into_inner).see(&file, bytes);
        }
        match turn {
            Turn::Half(error) => {
                let room = state.room.map_or(usize::MAX, |room| room.saturating_sub(state.used()));
                let half = &bytes[..(bytes.len() / 2).min(room)];
                state.inode(self.inode).write(at, half);
                Err(error)
            }
            Turn::Whole => {
                state.inode(self.inode).write(at, bytes);
                state.done()
            }
        }
    }

    fn reserve(&self, at: u64, len: u64) -> io::Result<()> {
        let mut state = self.twin.lock_state();
        let turn = state.turn(Step::Reserve)?;
        let end = usize::try_from(at + len).unwrap();
        let more = end.saturating_sub(state.inode(self.inode).len);
        state.check_room(more)?;
        if let Turn::Half(error) = turn {
            return Err(error);
        }
        let inode = state.inode(self.inode);
        inode.len = inode.len.max(end);
        state.done()
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).unwrap();
        let mut state = self.twin.lock_state();
        let inode = self.inode;
        state.names_step(Step::Truncate, |state| state.inode(inode).set_len(len))
    }

    fn sync(&self) -> io::Result<()> {
        let takes = self.twin.lock_state().sync_takes;
        if !takes.is_zero() {
            std::thread::park_timeout(takes);
        }
        let mut state = self.twin.lock_state();
        let turn = state.turn(Step::Sync)?;
        let lies = state.syncs_lie;
        let inode = state.inode(self.inode);
        match turn {
            Turn::Half(error) => {
                inode.dirty.clear();
                return Err(error);
            }
            Turn::Whole if lies => {}
            Turn::Whole => inode.sync(),
        }
        state.done()
    }
}
