use super::*;
use crate::Error;

fn read(vfs: &SimVfs, path: &str) -> Option<Vec<u8>> {
    crate::vfs::read_file(vfs, Path::new(path)).ok()
}

/// A file "d/f" holding `synced` durably and `later` written over it without a sync.
fn half_synced(seed: u64, synced: &[u8], later: &[u8]) -> SimVfs {
    let vfs = SimVfs::new(seed);
    vfs.create_dir_all(Path::new("d")).unwrap();
    vfs.sync_dir(Path::new("")).unwrap();
    let file = vfs.create(Path::new("d/f")).unwrap();
    vfs.sync_dir(Path::new("d")).unwrap();
    file.write_at(0, synced).unwrap();
    file.sync_data().unwrap();
    file.write_at(0, later).unwrap();
    vfs
}

#[test]
fn a_power_cut_keeps_synced_bytes_and_tears_others_at_sectors() {
    let (mut old, mut new, mut mixed) = (0, 0, 0);
    for seed in 0..200 {
        let cut = half_synced(seed, &[1; 2048], &[2; 2048]).power_cut();
        let bytes = read(&cut, "d/f").unwrap();
        for sector in bytes.chunks(512) {
            assert!(sector.iter().all(|b| *b == sector[0]), "torn inside a sector");
        }
        match (bytes.contains(&1), bytes.contains(&2)) {
            (true, true) => mixed += 1,
            (true, false) => old += 1,
            _ => new += 1,
        }
    }
    assert!(old > 20 && new > 20 && mixed > 20, "{old} {new} {mixed}");
}

#[test]
fn the_same_seed_loses_the_same() {
    for seed in 0..50 {
        let image = || read(&half_synced(seed, &[1; 4096], &[2; 4096]).power_cut(), "d/f");
        assert_eq!(image(), image());
    }
}

#[test]
fn names_are_lost_unless_their_directory_is_synced() {
    let mut lost = 0;
    for seed in 0..100 {
        let vfs = SimVfs::new(seed);
        vfs.create_dir_all(Path::new("d")).unwrap();
        vfs.sync_dir(Path::new("")).unwrap();
        vfs.create(Path::new("d/kept")).unwrap();
        vfs.sync_dir(Path::new("d")).unwrap();
        vfs.create(Path::new("d/maybe")).unwrap().sync_data().unwrap();
        vfs.rename(Path::new("d/kept"), Path::new("d/renamed")).unwrap();
        let names = vfs.power_cut().list(Path::new("d")).unwrap();
        assert_eq!(names.iter().filter(|n| *n == "kept" || *n == "renamed").count(), 1, "{names:?}");
        lost += usize::from(!names.iter().any(|n| n == "maybe"));
    }
    assert!(lost > 20 && lost < 80, "{lost}");
}

#[test]
fn a_crash_point_stops_everything_until_the_power_is_back() {
    let vfs = half_synced(1, b"old", b"new");
    vfs.set_faults(Faults { crash_at: Some(vfs.ops()), ..Faults::default() });
    let file = vfs.open(Path::new("d/f")).unwrap();
    assert!(file.sync_data().is_err());
    assert!(vfs.crashed() && file.read_at(0, &mut [0]).is_err() && file.write_at(0, b"x").is_err());
    let back = read(&vfs.power_cut(), "d/f").unwrap();
    assert!(back == b"old" || back == b"new");
}

#[test]
fn a_failed_sync_loses_bytes_that_a_later_sync_does_not_bring_back() {
    let mut lost = 0;
    for seed in 0..50 {
        let vfs = half_synced(seed, b"old", b"new");
        vfs.set_faults(Faults { eio_at: Some(vfs.ops()), ..Faults::default() });
        let file = vfs.open(Path::new("d/f")).unwrap();
        assert!(matches!(file.sync_data(), Err(Error::Io { op: "fsync", .. })));
        file.sync_data().unwrap();
        assert_eq!(read(&vfs, "d/f").unwrap(), b"new", "memory still shows it");
        lost += usize::from(read(&vfs.power_cut(), "d/f").unwrap() == b"old");
    }
    assert!(lost > 10 && lost < 40, "{lost}");
}

#[test]
fn space_runs_out_for_growth_only() {
    let vfs = half_synced(1, b"1234", b"5");
    vfs.set_faults(Faults { space: Some(6), ..Faults::default() });
    let file = vfs.open(Path::new("d/f")).unwrap();
    file.write_at(3, b"abc").unwrap();
    assert!(matches!(file.write_at(6, b"x"), Err(Error::DiskFull { .. })));
    assert!(matches!(file.allocate(100), Err(Error::DiskFull { .. })));
    file.write_at(0, b"zzz").unwrap();
    assert_eq!((vfs.used(), vfs.counts().full), (6, 2));
}

#[test]
fn a_flip_and_a_lock_and_a_bad_read() {
    let vfs = half_synced(1, b"aaa", b"aaa");
    assert!(vfs.flip(Path::new("d/f"), 1, 2) && !vfs.flip(Path::new("d/f"), 3, 1));
    assert_eq!(read(&vfs, "d/f").unwrap(), b"aca");
    vfs.set_faults(Faults { read_eio_at: Some(vfs.reads()), ..Faults::default() });
    assert_eq!(read(&vfs, "d/f"), None);
    let held = vfs.lock(Path::new("d/LOCK")).unwrap();
    assert!(matches!(vfs.lock(Path::new("d/LOCK")), Err(Error::InUse { .. })));
    drop(held);
    vfs.lock(Path::new("d/LOCK")).unwrap();
}
