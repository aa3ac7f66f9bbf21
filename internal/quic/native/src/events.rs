//! What the engine tells JavaScript: records of four numbers [kind, connection, a, b], and texts for some kinds, in the
//! order of their records. They wait here until the next batch is handed over; README.md lists kinds and fields.

use std::collections::VecDeque;

/// Kinds of event; the same numbers stand in `native.ts`.
pub const CONNECTED: u8 = 1;
pub const OPENED: u8 = 2;
pub const READABLE: u8 = 3;
pub const WRITABLE: u8 = 4;
pub const STOPPED: u8 = 5;
pub const STREAMS_AVAILABLE: u8 = 6;
pub const DATAGRAM: u8 = 7;
pub const CLOSED: u8 = 8;
pub const DRAINED: u8 = 9;
pub const FLUSHED: u8 = 10;
pub const PONG: u8 = 11;
pub const ENDPOINT_CLOSED: u8 = 12;
pub const FAILED: u8 = 13;

/// Numbers a record takes.
pub const RECORD: usize = 4;
/// Records handed over at once: 1,024 of 32 bytes fill the shared memory; a bulk turn makes some tens, a flood of
/// small streams some hundreds.
pub const BATCH: usize = 1024;

struct Event {
    kind: u8,
    connection: f64,
    a: f64,
    b: f64,
    text: Option<Box<str>>,
}

#[derive(Default)]
pub struct EventQueue {
    waiting: VecDeque<Event>,
}

impl EventQueue {
    pub fn push(&mut self, kind: u8, connection: f64, a: f64, b: f64) {
        self.waiting.push_back(Event { kind, connection, a, b, text: None });
    }

    pub fn push_text(&mut self, kind: u8, connection: f64, a: f64, b: f64, text: impl Into<Box<str>>) {
        self.waiting.push_back(Event { kind, connection, a, b, text: Some(text.into()) });
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Moves up to `BATCH` events to `out`, their texts to `texts`; returns how many.
    pub fn take(&mut self, mut out: impl FnMut(usize, f64), texts: &mut Vec<Box<str>>) -> usize {
        let count = self.waiting.len().min(BATCH);
        for (index, event) in self.waiting.drain(..count).enumerate() {
            out(index * RECORD, f64::from(event.kind));
            out(index * RECORD + 1, event.connection);
            out(index * RECORD + 2, event.a);
            out(index * RECORD + 3, event.b);
            texts.extend(event.text);
        }
        // A burst may have grown the queue far above its usual size.
        if self.waiting.is_empty() && self.waiting.capacity() > 4 * BATCH {
            self.waiting.shrink_to(BATCH);
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(queue: &mut EventQueue) -> (usize, Vec<f64>, Vec<Box<str>>) {
        let (mut numbers, mut texts) = (Vec::new(), Vec::new());
        let count = queue.take(
            |index, value| {
                assert_eq!(index, numbers.len(), "records are written one after the other");
                numbers.push(value);
            },
            &mut texts,
        );
        (count, numbers, texts)
    }

    #[test]
    fn hands_records_over_in_order_with_their_texts() {
        let mut queue = EventQueue::default();
        queue.push(READABLE, 7.0, 4.0, 0.0);
        queue.push_text(CLOSED, 8.0, 2.0, 9.0, "first");
        queue.push(WRITABLE, 7.0, 4.0, 0.0);
        queue.push_text(FAILED, 0.0, 0.0, 0.0, "second");
        let (count, numbers, texts) = drain(&mut queue);
        assert_eq!(count, 4);
        assert_eq!(&numbers[..8], &[3.0, 7.0, 4.0, 0.0, 8.0, 8.0, 2.0, 9.0]);
        assert_eq!(texts, ["first".into(), "second".into()] as [Box<str>; 2]);
        assert!(queue.is_empty());
    }

    #[test]
    fn hands_over_a_batch_at_a_time() {
        let mut queue = EventQueue::default();
        for index in 0..BATCH + 3 {
            queue.push(READABLE, index as f64, 0.0, 0.0);
        }
        assert_eq!(drain(&mut queue).0, BATCH);
        let (count, numbers, _) = drain(&mut queue);
        assert_eq!(count, 3);
        assert_eq!(numbers[1], BATCH as f64);
        assert_eq!(drain(&mut queue).0, 0);
    }

    #[test]
    fn gives_the_memory_of_a_burst_back() {
        let mut queue = EventQueue::default();
        for _ in 0..16 * BATCH {
            queue.push(READABLE, 0.0, 0.0, 0.0);
        }
        while drain(&mut queue).0 > 0 {}
        assert!(queue.waiting.capacity() <= 4 * BATCH);
    }
}
