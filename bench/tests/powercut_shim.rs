//! The power-cut shim under ordinary programs: what was synced stays, what was not may go, names included.

use std::fs;
use std::process::Command;

use bench::powercut::{Rig, Syncs};
use rand::{SeedableRng, rngs::StdRng};

/// Runs a shell script under the shim in the rig's directory.
fn shell(rig: &Rig, syncs: Syncs, script: &str) {
    let status = Command::new("sh")
        .args(["-ec", script])
        .current_dir(&rig.directory)
        .envs(rig.environment(syncs, 0))
        .status()
        .expect("sh can be started");
    assert!(status.success(), "{script}: {status}");
}

fn rig(place: &tempfile::TempDir) -> Rig {
    Rig::new(place.path(), "data").expect("a C compiler is there: the workspace needs one to build")
}

fn read(rig: &Rig, name: &str) -> Option<String> {
    fs::read_to_string(rig.directory.join(name)).ok()
}

/// `sync FILE` calls fsync on it; for a directory that makes its names durable.
const SYNCED: &str = "printf aaaa > a; sync a; printf bbbb > b; sync b .";
const UNSYNCED: &str = "printf cccc >> a; printf dddd > c; mv b e; rm a";

#[test]
fn what_is_synced_stays_and_the_rest_may_go() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let rig = rig(&place);
    let (mut lost, mut kept) = (0, 0);
    for seed in 0..60 {
        shell(&rig, Syncs::Honest, &format!("rm -f a b c e; sync .; {SYNCED}"));
        shell(&rig, Syncs::Honest, UNSYNCED);
        rig.cut(&mut StdRng::seed_from_u64(seed)).expect("the cut can be made");
        // The appended bytes, each name, the renaming and the deletion each survive or not.
        if let Some(text) = read(&rig, "a") {
            assert!(text == "aaaa" || text == "aaaacccc", "seed {seed}: a is {text:?}");
            lost += 1;
        } else {
            kept += 1;
        }
        let (b, e) = (read(&rig, "b"), read(&rig, "e"));
        assert!(
            b.is_some() != e.is_some(),
            "seed {seed}: a renamed file is at one of its names: {b:?} {e:?}"
        );
        assert_eq!(b.or(e).as_deref(), Some("bbbb"), "seed {seed}");
        if let Some(text) = read(&rig, "c") {
            assert!(text.is_empty() || text == "dddd", "seed {seed}: c is {text:?}");
        }
    }
    assert!(lost > 0 && kept > 0, "both outcomes of an unsynced deletion are seen: {lost} lost, {kept} kept");
}

#[test]
fn overwritten_bytes_come_back() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let rig = rig(&place);
    let mut lost = 0;
    for seed in 0..30 {
        shell(&rig, Syncs::Honest, "head -c 4096 /dev/zero | tr '\\0' x > f; sync f .");
        shell(
            &rig,
            Syncs::Honest,
            "head -c 2048 /dev/zero | tr '\\0' y | dd of=f bs=2048 seek=512 oflag=seek_bytes conv=notrunc 2>/dev/null",
        );
        rig.cut(&mut StdRng::seed_from_u64(seed)).expect("the cut can be made");
        let text = read(&rig, "f").expect("f was synced");
        assert_eq!(text.len(), 4096, "seed {seed}");
        let written = text.bytes().filter(|byte| *byte == b'y').count();
        assert_eq!(written % 512, 0, "seed {seed}: torn at a sector, {written} new bytes");
        assert!(text[..512].bytes().chain(text[2560..].bytes()).all(|byte| byte == b'x'), "seed {seed}");
        lost += usize::from(written == 0);
    }
    assert!((1..30).contains(&lost), "some writes are lost, some are kept: {lost} of 30 lost");
}

#[test]
fn lying_syncs_lose_what_honest_ones_keep() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let rig = rig(&place);
    let mut gone = 0;
    for seed in 0..20 {
        shell(&rig, Syncs::Lying, SYNCED);
        rig.cut(&mut StdRng::seed_from_u64(seed)).expect("the cut can be made");
        gone += usize::from(read(&rig, "a").as_deref() != Some("aaaa"));
        fs::remove_file(rig.directory.join("a")).ok();
        fs::remove_file(rig.directory.join("b")).ok();
    }
    assert!(gone > 5, "only {gone} of 20");
}
