//! The simulated disk: bytes and names, each with what is current, what is durable, and the
//! changes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use super::{FaultCounts, Faults};
use crate::vfs::io_error;
use crate::{Error, Result};

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

pub(super) struct Disk {
    random: Random,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    current: Tree,
    durable: Tree,
    unsynced: Vec<TreeChange>,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) faults: Faults,
    pub(super) counts: FaultCounts,
    pub(super) ops: u64,
    pub(super) reads: u64,
    /// The power is off.
    pub(super) dark: bool,
}

type Tree = BTreeMap<PathBuf, Node>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Dir,
    File(u64),
}

#[derive(Clone, Debug)]
pub(super) enum TreeChange {
    Link { path: PathBuf, node: Node },
    Unlink { path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, data: Vec<u8> },
    SetLen(u64),
}

#[derive(Default)]
pub(super) struct Inode {
    pub(super) current: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    open: u32,
}

/// What a fault rule says about an operation.
enum Verdict {
    Done,
    Eio,
    Crash,
}

/// How a power cut treats unsynced changes.
#[derive(Clone, Copy, PartialEq)]
enum Loss {
    All,
    Nothing,
    SomeChanges,
    SomeSectors,
}

impl Disk {
    pub(super) fn new(seed: u64) -> Disk {
        Disk {
            random: Random(seed),
            inodes: BTreeMap::new(),
            next_inode: 1,
            current: Tree::new(),
            durable: Tree::new(),
            unsynced: vec![],
            locks: BTreeSet::new(),
            faults: Faults::default(),
            counts: FaultCounts::default(),
            ops: 0,
            reads: 0,
            dark: false,
        }
    }

    pub(super) fn powered(&self, op: &'static str, path: &Path) -> Result<()> {
        if self.dark { Err(io_error(op, path, io::Error::other("the power is off"))) } else { Ok(()) }
    }

    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        if is_root(path) { Some(Node::Dir) } else { self.current.get(path).copied() }
    }

    pub(super) fn inode(&self, inode: u64) -> &Inode {
        self.inodes.get(&inode).expect("an inode lives while a name or a handle refers to it")
    }

    fn inode_mut(&mut self, inode: u64) -> &mut Inode {
        self.inodes.get_mut(&inode).expect("an inode lives while a name or a handle refers to it")
    }

    /// The inode of an existing file.
    pub(super) fn file(&self, op: &'static str, path: &Path) -> Result<u64> {
        self.powered(op, path)?;
        match self.node(path) {
            Some(Node::File(inode)) => Ok(inode),
            Some(Node::Dir) => Err(io_error(op, path, io::ErrorKind::IsADirectory.into())),
            None => Err(io_error(op, path, io::ErrorKind::NotFound.into())),
        }
    }

    pub(super) fn open(&mut self, path: &Path) -> Result<u64> {
        let inode = self.file("open", path)?;
        self.inode_mut(inode).open += 1;
        Ok(inode)
    }

    pub(super) fn close(&mut self, inode: u64) {
        self.inode_mut(inode).open -= 1;
    }

    pub(super) fn create(&mut self, path: &Path) -> Result<u64> {
        if let Some(Node::File(inode)) = self.node(path) {
            self.change_file("create", inode, path, Change::SetLen(0))?;
            self.inode_mut(inode).open += 1;
            return Ok(inode);
        }
        let parent = path.parent().unwrap_or(Path::new(""));
        if self.node(parent) != Some(Node::Dir) {
            return Err(io_error("create", path, io::ErrorKind::NotFound.into()));
        }
        let inode = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(inode, Inode::default());
        let change = TreeChange::Link { path: path.to_path_buf(), node: Node::File(inode) };
        self.change_tree("create", path, change)?;
        self.inode_mut(inode).open += 1;
        Ok(inode)
    }

    pub(super) fn change_tree(&mut self, op: &'static str, path: &Path, change: TreeChange) -> Result<()> {
        let verdict = self.verdict(op, path)?;
        if let Verdict::Eio = verdict {
            return Err(eio(op, path));
        }
        change.apply(&mut self.current);
        self.unsynced.push(change);
        self.finish(verdict, op, path)
    }

    pub(super) fn change_file(
        &mut self,
        op: &'static str,
        inode: u64,
        path: &Path,
        change: Change,
    ) -> Result<()> {
        let verdict = self.verdict(op, path)?;
        if let Verdict::Eio = verdict {
            return Err(eio(op, path));
        }
        let len = self.inode(inode).current.len() as u64;
        let growth = change.end().saturating_sub(len);
        if self.faults.space.is_some_and(|space| growth > 0 && self.used() + growth > space) {
            self.counts.full += 1;
            return Err(Error::DiskFull { op, path: path.to_path_buf() });
        }
        let inode = self.inode_mut(inode);
        change.apply(&mut inode.current);
        inode.unsynced.push(change);
        self.finish(verdict, op, path)
    }

    pub(super) fn sync_file(&mut self, inode: u64, path: &Path) -> Result<()> {
        match self.verdict("fsync", path)? {
            Verdict::Done => {
                let inode = self.inode_mut(inode);
                for change in std::mem::take(&mut inode.unsynced) {
                    change.apply(&mut inode.durable);
                }
                Ok(())
            }
            // The pages count as clean from now on: what did not arrive never will.
            Verdict::Eio => {
                self.settle_file(inode, Loss::SomeSectors);
                Err(eio("fsync", path))
            }
            Verdict::Crash => self.finish(Verdict::Crash, "fsync", path),
        }
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) -> Result<()> {
        let verdict = self.verdict("sync directory", dir)?;
        match verdict {
            Verdict::Done => {
                let (here, elsewhere) = std::mem::take(&mut self.unsynced)
                    .into_iter()
                    .partition::<Vec<_>, _>(|change| change.touches(dir));
                self.unsynced = elsewhere;
                here.iter().for_each(|change| change.apply(&mut self.durable));
                self.forget_unreachable();
                Ok(())
            }
            Verdict::Eio => Err(eio("sync directory", dir)),
            Verdict::Crash => self.finish(verdict, "sync directory", dir),
        }
    }

    pub(super) fn read(&mut self, inode: u64, path: &Path, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.powered("read", path)?;
        let number = self.reads;
        self.reads += 1;
        if self.faults.read_eio_at == Some(number) {
            self.counts.eio += 1;
            return Err(eio("read", path));
        }
        let bytes = &self.inode(inode).current;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let len = buf.len().min(bytes.len() - from);
        buf[..len].copy_from_slice(&bytes[from..from + len]);
        Ok(len)
    }

    pub(super) fn list(&self, dir: &Path) -> Result<Vec<String>> {
        self.powered("list directory", dir)?;
        if self.node(dir) != Some(Node::Dir) {
            return Err(io_error("list directory", dir, io::ErrorKind::NotFound.into()));
        }
        let children = self.current.keys().filter(|path| path.parent() == Some(dir));
        let names = children.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
        Ok(names.collect())
    }

    pub(super) fn take_lock(&mut self, path: &Path) -> Result<()> {
        self.powered("lock", path)?;
        if self.locks.insert(path.to_path_buf()) {
            return Ok(());
        }
        Err(Error::InUse { path: path.parent().unwrap_or(path).to_path_buf() })
    }

    pub(super) fn used(&self) -> u64 {
        let files = self.current.values().filter_map(|node| match node {
            Node::File(inode) => Some(self.inode(*inode).current.len() as u64),
            Node::Dir => None,
        });
        files.sum()
    }

    pub(super) fn flip(&mut self, path: &Path, offset: u64, mask: u8) -> bool {
        let (Some(Node::File(inode)), Ok(at)) = (self.node(path), usize::try_from(offset)) else {
            return false;
        };
        let inode = self.inode_mut(inode);
        let Some(byte) = inode.current.get_mut(at) else { return false };
        *byte ^= mask;
        if let Some(byte) = inode.durable.get_mut(at) {
            *byte ^= mask;
        }
        true
    }

    pub(super) fn power_cut(&mut self) -> Disk {
        self.dark = true;
        let loss = match self.random.below(4) {
            0 => Loss::All,
            1 => Loss::Nothing,
            2 => Loss::SomeChanges,
            _ => Loss::SomeSectors,
        };
        let numbers: Vec<u64> = self.inodes.keys().copied().collect();
        numbers.into_iter().for_each(|inode| self.settle_file(inode, loss));
        self.settle_tree(loss);
        let mut image = Disk::new(self.random.next());
        image.counts = self.counts;
        image.next_inode = self.next_inode;
        image.durable = self.durable.clone();
        image.current = self.durable.clone();
        for node in image.durable.values() {
            let Node::File(number) = node else { continue };
            let bytes = &self.inode(*number).durable;
            let inode = Inode { current: bytes.clone(), durable: bytes.clone(), ..Inode::default() };
            image.inodes.insert(*number, inode);
        }
        image
    }

    fn verdict(&mut self, op: &'static str, path: &Path) -> Result<Verdict> {
        self.powered(op, path)?;
        let number = self.ops;
        self.ops += 1;
        if self.faults.crash_at == Some(number) {
            return Ok(Verdict::Crash);
        }
        if self.faults.eio_at == Some(number) {
            self.counts.eio += 1;
            return Ok(Verdict::Eio);
        }
        Ok(Verdict::Done)
    }

    fn finish(&mut self, verdict: Verdict, op: &'static str, path: &Path) -> Result<()> {
        self.dark |= matches!(verdict, Verdict::Crash);
        self.powered(op, path)
    }

    /// Decides what of a file's unsynced changes reached the disk; the rest is gone for good.
    fn settle_file(&mut self, number: u64, loss: Loss) {
        let mut inode = self.inodes.remove(&number).expect("numbers come from the table");
        for change in std::mem::take(&mut inode.unsynced) {
            let (kept, parts) = self.survive(&change, &mut inode.durable, loss);
            self.counts.lost += u64::from(kept == 0);
            self.counts.torn += u64::from(kept > 0 && kept < parts);
        }
        self.inodes.insert(number, inode);
    }

    /// Applies the surviving parts of a change; returns how many of how many.
    fn survive(&mut self, change: &Change, durable: &mut Vec<u8>, loss: Loss) -> (u64, u64) {
        let parts = if loss == Loss::SomeSectors { change.sectors() } else { vec![change.clone()] };
        let mut kept = 0;
        for part in &parts {
            if self.keeps(loss) {
                part.apply(durable);
                kept += 1;
            }
        }
        (kept, parts.len() as u64)
    }

    fn keeps(&mut self, loss: Loss) -> bool {
        match loss {
            Loss::All => false,
            Loss::Nothing => true,
            Loss::SomeChanges | Loss::SomeSectors => self.random.below(2) == 0,
        }
    }

    fn settle_tree(&mut self, loss: Loss) {
        for change in std::mem::take(&mut self.unsynced) {
            if self.keeps(loss) {
                change.apply(&mut self.durable);
            } else {
                self.counts.lost_names += 1;
            }
        }
        // What hangs below a lost directory is lost with it; parents sort before their children.
        let mut kept = Tree::new();
        for (path, node) in std::mem::take(&mut self.durable) {
            let parent = path.parent().unwrap_or(Path::new(""));
            if is_root(parent) || kept.get(parent) == Some(&Node::Dir) {
                kept.insert(path, node);
            }
        }
        self.durable = kept;
    }

    fn forget_unreachable(&mut self) {
        let mut named: BTreeSet<u64> = BTreeSet::new();
        let waiting = self.unsynced.iter().filter_map(|change| match change {
            TreeChange::Link { node, .. } => Some(node),
            _ => None,
        });
        for node in self.current.values().chain(self.durable.values()).chain(waiting) {
            if let Node::File(inode) = node {
                named.insert(*inode);
            }
        }
        self.inodes.retain(|number, inode| inode.open > 0 || named.contains(number));
    }
}

impl TreeChange {
    fn apply(&self, tree: &mut Tree) {
        match self {
            TreeChange::Link { path, node } => {
                tree.insert(path.clone(), *node);
            }
            TreeChange::Unlink { path } => {
                tree.remove(path);
            }
            TreeChange::Rename { from, to } => {
                if let Some(node) = tree.remove(from) {
                    tree.insert(to.clone(), node);
                }
            }
        }
    }

    fn touches(&self, dir: &Path) -> bool {
        let inside = |path: &Path| path.parent() == Some(dir);
        match self {
            TreeChange::Link { path, .. } | TreeChange::Unlink { path } => inside(path),
            TreeChange::Rename { from, to } => inside(from) || inside(to),
        }
    }
}

impl Change {
    /// The least length of a file that holds this change.
    fn end(&self) -> u64 {
        match self {
            Change::Write { offset, data } => offset + data.len() as u64,
            Change::SetLen(len) => *len,
        }
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::SetLen(len) => bytes.resize(*len as usize, 0),
            Change::Write { offset, data } => {
                let from = *offset as usize;
                let to = from + data.len();
                if bytes.len() < to {
                    bytes.resize(to, 0);
                }
                bytes[from..to].copy_from_slice(data);
            }
        }
    }

    /// The change as parts that a disk makes whole or not at all.
    fn sectors(&self) -> Vec<Change> {
        let Change::Write { offset, data } = self else { return vec![self.clone()] };
        let mut parts = vec![];
        let mut at = 0;
        while at < data.len() {
            let offset = offset + at as u64;
            let len = ((SECTOR - offset % SECTOR) as usize).min(data.len() - at);
            parts.push(Change::Write { offset, data: data[at..at + len].to_vec() });
            at += len;
        }
        parts
    }
}

fn is_root(path: &Path) -> bool {
    path.as_os_str().is_empty() || path == Path::new("/")
}

fn eio(op: &'static str, path: &Path) -> Error {
    io_error(op, path, io::Error::from_raw_os_error(libc::EIO))
}

/// SplitMix64 (Steele, Lea, Flood 2014): tiny, and the same on every version of every library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}
