//! Power cuts of a real process: [`Rig`] builds the shim, sets the environment, and after kill -9 takes unsynced
//! changes back. The model is in the header of `powercut/shim.c`, the choice of what is lost in [`restore`].

pub mod journal;
pub mod restore;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use restore::{Loss, restore};

/// The shim's source; it is compiled when a rig is made, a C compiler is needed to build the database anyway.
const SHIM: &str = include_str!("../powercut/shim.c");

/// Whether fsync and fdatasync do what they promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Syncs {
    /// They do.
    Honest,
    /// They answer success and make nothing durable: what a test must notice.
    Lying,
}

/// One directory under the shim.
#[derive(Debug)]
pub struct Rig {
    library: PathBuf,
    /// The directory whose changes are noted.
    pub directory: PathBuf,
    journal: PathBuf,
    trash: PathBuf,
}

impl Rig {
    /// Compiles the shim in `place` and prepares `place/DIRECTORY`. The path is resolved: the shim compares paths.
    pub fn new(place: &Path, directory: &str) -> Result<Rig, String> {
        let place = place.canonicalize().map_err(|error| format!("{}: {error}", place.display()))?;
        let (source, library) = (place.join("shim.c"), place.join("shim.so"));
        fs::write(&source, SHIM).map_err(|error| error.to_string())?;
        let output = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-w", "-pthread", "-o"])
            .args([&library, &source])
            .output()
            .map_err(|error| format!("running cc: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let rig = Rig {
            library,
            directory: place.join(directory),
            journal: place.join("journal"),
            trash: place.join("trash"),
        };
        for path in [&rig.directory, &rig.trash] {
            fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(rig)
    }

    /// What a process needs to run under the shim.
    pub fn environment(&self, syncs: Syncs, sync_us: u32) -> Vec<(String, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        vec![
            ("LD_PRELOAD".into(), path(&self.library)),
            ("POWERCUT_DIR".into(), path(&self.directory)),
            ("POWERCUT_JOURNAL".into(), path(&self.journal)),
            ("POWERCUT_TRASH".into(), path(&self.trash)),
            ("POWERCUT_IGNORE_SYNC".into(), if syncs == Syncs::Lying { "1" } else { "0" }.into()),
            ("POWERCUT_SYNC_US".into(), sync_us.to_string()),
        ]
    }

    /// The power cut itself, after the process was killed: returns what was lost and clears the journal.
    pub fn cut(&self, rng: &mut impl rand::Rng) -> Result<Loss, String> {
        let records = journal::read(&self.journal)?;
        let loss = restore(&records, &[&self.directory, &self.trash], rng)?;
        for path in [&self.journal, &self.trash] {
            let gone = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
            gone.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        fs::create_dir_all(&self.trash).map_err(|error| error.to_string())?;
        Ok(loss)
    }
}
