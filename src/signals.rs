//! Signals that end a run or a command, and those that whoever started this process wants ignored.

use std::fs;

use rustix::process::Signal;

/// Signals that ask for an end: Ctrl-C, the end of a session, a scheduler's warning, and limits on time and file size.
pub const ENDING: [Signal; 6] = [Signal::TERM, Signal::INT, Signal::HUP, Signal::USR1, Signal::XCPU, Signal::XFSZ];

/// Whether this process was started with the signal ignored, as `nohup` does with SIGHUP. It stays ignored then.
/// Only Linux tells; elsewhere every signal is taken.
pub fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status, signal)
}

fn ignored_in(status: &str, signal: Signal) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// The signal that asks a trial of this process to stop: one that is not ignored, which it inherits.
pub fn stopping() -> Signal {
    ENDING.into_iter().find(|signal| !is_ignored(*signal)).unwrap_or(Signal::TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        // SIGHUP (1) and SIGINT (2), as of a shell's background job under nohup.
        let status = "Name:\tcvae\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000003\nSigCgt:\t0000000000000000\n";
        assert!(ignored_in(status, Signal::HUP) && ignored_in(status, Signal::INT));
        assert!(!ignored_in(status, Signal::TERM) && !ignored_in("", Signal::HUP));
    }
}
