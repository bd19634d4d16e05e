//! Processor time of a process tree, from `/proc/PID/stat`.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// One line of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    parent: u32,
    own: u64,
    reaped_children: u64,
}

/// User and system time of a process and all its descendants so far. The time of children that have ended is in
/// their parent's account, so that two readings may be subtracted although backends came and went.
pub fn of_tree(root: u32) -> Duration {
    let all = read_all();
    let mut ticks = all.get(&root).map_or(0, |stat| stat.own + stat.reaped_children);
    let mut level = vec![root];
    while let Some(parent) = level.pop() {
        for (pid, stat) in all.iter().filter(|(_, stat)| stat.parent == parent) {
            ticks += stat.own + stat.reaped_children;
            level.push(*pid);
        }
    }
    Duration::from_secs_f64(ticks as f64 / ticks_per_second())
}

fn ticks_per_second() -> f64 {
    // SAFETY: sysconf takes a constant and returns a number.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    if ticks > 0 { ticks as f64 } else { 100.0 }
}

fn read_all() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| Some((pid, parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect()
}

/// The name in field 2 may hold spaces and parentheses: fields are counted from the last `)`.
fn parse(line: &str) -> Option<Stat> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        reaped_children: number(13)? + number(14)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_is_skipped() {
        let line = "7 (a) b (c)) S 3 7 7 0 -1 4 1 2 3 4 10 20 30 40 20 0 1";
        assert_eq!(parse(line), Some(Stat { parent: 3, own: 30, reaped_children: 70 }));
        assert_eq!(parse("7 (cut) S 3"), None);
    }

    #[test]
    fn this_process_uses_time() {
        let before = of_tree(std::process::id());
        let mut sum = 0u64;
        while of_tree(std::process::id()) - before < Duration::from_millis(20) {
            sum = (0..1_000_000u64).fold(sum, |sum, x| std::hint::black_box(sum ^ x));
        }
    }
}
