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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn fires_in_the_order_of_deadlines() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut timers = Timers::default();
        let mut notes = [None, None, None];
        timers.update(0, &mut notes[0], start + 3 * second);
        timers.update(1, &mut notes[1], start + second);
        timers.update(2, &mut notes[2], start + 2 * second);
        assert_eq!(timers.next(), Some(start + second));
        assert_eq!(timers.pop_due(start), None);
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(start + 5 * second)).collect();
        assert_eq!(due, [1, 2, 0]);
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn an_earlier_deadline_replaces_a_later_one_and_not_the_other_way() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut timers = Timers::default();
        let mut note = None;
        timers.update(5, &mut note, start + 2 * second);
        timers.update(5, &mut note, start + 9 * second);
        assert_eq!(note, Some(start + 2 * second), "a later one costs nothing: the entry fires early");
        timers.update(5, &mut note, start + second);
        assert_eq!(note, Some(start + second));
        assert_eq!(timers.pop_due(start + 10 * second), Some(5));
        assert_eq!(timers.pop_due(start + 10 * second), None, "a connection has one entry");
    }

    #[test]
    fn a_removed_entry_does_not_fire() {
        let start = Instant::now();
        let mut timers = Timers::default();
        let mut note = None;
        timers.update(1, &mut note, start);
        timers.remove(1, &mut note);
        assert_eq!(note, None);
        assert_eq!(timers.pop_due(start + Duration::from_secs(1)), None);
    }
}
