//! When each connection next wants `handle_timeout`. At most one entry a connection; moving a deadline later costs
//! nothing (the old entry fires early and is put back), which is what almost every packet does.

use std::collections::BTreeSet;
use std::time::Instant;

#[derive(Default)]
pub struct Timers {
    entries: BTreeSet<(Instant, usize)>,
}

impl Timers {
    /// Makes sure that `slot` fires at `deadline` at the latest. `queued` is the connection's own note of its entry.
    pub fn update(&mut self, slot: usize, queued: &mut Option<Instant>, deadline: Instant) {
        if queued.is_some_and(|at| at <= deadline) {
            return;
        }
        self.remove(slot, queued);
        *queued = Some(deadline);
        self.entries.insert((deadline, slot));
    }

    pub fn remove(&mut self, slot: usize, queued: &mut Option<Instant>) {
        if let Some(at) = queued.take() {
            self.entries.remove(&(at, slot));
        }
    }

    /// Takes one entry that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        let entry = *self.entries.first()?;
        if entry.0 > now {
            return None;
        }
        self.entries.remove(&entry);
        Some(entry.1)
    }

    pub fn next(&self) -> Option<Instant> {
        self.entries.first().map(|entry| entry.0)
    }
}
