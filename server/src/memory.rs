//! This process' memory, as Linux tells it.

/// Resident now, in bytes.
pub(crate) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most that was ever resident, in bytes.
pub(crate) fn resident_peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_process_has_memory_and_a_peak() {
        let (now, peak) = (resident().unwrap(), resident_peak().unwrap());
        // The two are counted apart, each a little behind: only their size can be told.
        assert!(now > 100_000 && peak > 100_000, "{now} {peak}");
    }
}
