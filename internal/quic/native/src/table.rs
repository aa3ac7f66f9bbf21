//! Connections by the number JavaScript knows them by: a slot of quinn's table plus a generation, so that a number kept
//! too long names nothing instead of a stranger. Every number from JavaScript passes `find` before it is used.

use crate::admission::{AddressKey, Stage};
use bytes::Bytes;
use quinn_proto as qp;
use std::time::Instant;

pub struct Conn {
    pub inner: qp::Connection,
    /// The number for JavaScript.
    pub handle: f64,
    /// In the list of connections that may have something to send.
    pub dirty: bool,
    /// When its entry in `Timers` fires.
    pub timer: Option<Instant>,
    /// What it counts as, on an accepting endpoint.
    pub counted: Option<(AddressKey, Stage)>,
    /// Streams opened by us and accepted from the peer so far: larger ids do not exist yet.
    pub opened: u64,
    pub accepted: u64,
    /// Streams the peer may hold open now.
    pub stream_allowance: u64,
    /// JavaScript waits for all sending sides but this many, which are open, to be acknowledged.
    pub wants_flushed: Option<usize>,
    /// A ping is out: the count of ACK frames when it was sent.
    pub ping: Option<u64>,
    pub datagrams_delivered: u64,
    /// A datagram that did not fit the buffer of the last read.
    pub held: Option<Bytes>,
}

struct Slot {
    generation: u32,
    conn: Option<Box<Conn>>,
}

#[derive(Default)]
pub struct Table {
    slots: Vec<Slot>,
    count: usize,
}

/// 2^20 slots; with 32 bits of generation above them a handle stays below 2^52, exact in a double.
const SLOTS: usize = 1 << 20;

impl Table {
    pub fn insert(&mut self, slot: usize, inner: qp::Connection, allowance: u64) -> &mut Conn {
        assert!(slot < SLOTS, "more than 2^20 connections");
        while self.slots.len() <= slot {
            self.slots.push(Slot { generation: 0, conn: None });
        }
        let entry = &mut self.slots[slot];
        entry.generation = entry.generation.wrapping_add(1);
        let handle = f64::from(entry.generation) * SLOTS as f64 + slot as f64;
        if entry.conn.is_none() {
            self.count += 1;
        }
        entry.conn.insert(Box::new(Conn {
            inner,
            handle,
            dirty: false,
            timer: None,
            counted: None,
            opened: 0,
            accepted: 0,
            stream_allowance: allowance,
            wants_flushed: None,
            ping: None,
            datagrams_delivered: 0,
            held: None,
        }))
    }

    /// The slot of a number from JavaScript, if it names a connection that exists.
    pub fn find(&self, handle: f64) -> Option<usize> {
        if !(0.0..=9_007_199_254_740_991.0).contains(&handle) {
            return None;
        }
        let slot = handle as u64 as usize & (SLOTS - 1);
        self.get(slot).filter(|conn| conn.handle == handle).map(|_| slot)
    }

    pub fn get(&self, slot: usize) -> Option<&Conn> {
        self.slots.get(slot)?.conn.as_deref()
    }

    pub fn get_mut(&mut self, slot: usize) -> Option<&mut Conn> {
        self.slots.get_mut(slot)?.conn.as_deref_mut()
    }

    pub fn remove(&mut self, slot: usize) -> Option<Box<Conn>> {
        let conn = self.slots.get_mut(slot)?.conn.take()?;
        self.count -= 1;
        Some(conn)
    }

    pub fn len(&self) -> usize {
        self.count
    }
}

impl Conn {
    /// The stream of a number from JavaScript, if such a stream was opened by either side. quinn-proto asserts on ids it
    /// cannot place, so this check stands in front of every use.
    pub fn stream(&self, id: f64) -> Option<qp::StreamId> {
        if id.fract() != 0.0 || !(0.0..4_611_686_018_427_387_904.0).contains(&id) {
            return None;
        }
        let id = qp::StreamId::from(qp::VarInt::from_u64(id as u64).ok()?);
        if id.dir() != qp::Dir::Bi {
            return None;
        }
        let known = if id.initiator() == self.inner.side() { self.opened } else { self.accepted };
        (id.index() < known).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> qp::Connection {
        crate::testing::connecting().1
    }

    #[test]
    fn finds_a_connection_by_its_number_only() {
        let mut table = Table::default();
        let handle = table.insert(3, connection(), 1).handle;
        assert_eq!(table.find(handle), Some(3));
        assert_eq!(table.len(), 1);
        for other in
            [handle + 1.0, handle + SLOTS as f64, 3.0, -1.0, handle + 0.5, f64::NAN, f64::INFINITY, 2f64.powi(53)]
        {
            assert_eq!(table.find(other), None, "{other}");
        }
    }

    #[test]
    fn a_number_names_nothing_once_its_slot_has_another_connection() {
        let mut table = Table::default();
        let old = table.insert(0, connection(), 1).handle;
        assert!(table.remove(0).is_some());
        assert!(table.remove(0).is_none());
        assert_eq!((table.find(old), table.len()), (None, 0));
        let new = table.insert(0, connection(), 1).handle;
        assert_ne!(old, new);
        assert_eq!((table.find(old), table.find(new)), (None, Some(0)));
    }

    #[test]
    fn knows_streams_that_one_side_opened_and_no_others() {
        let mut table = Table::default();
        let conn = table.insert(0, connection(), 1);
        conn.opened = 2;
        conn.accepted = 1;
        for known in [0.0, 4.0, 1.0] {
            assert!(conn.stream(known).is_some(), "{known}");
        }
        // Not opened yet, unidirectional, no stream id at all.
        for unknown in [8.0, 5.0, 2.0, 3.0, -4.0, 0.5, f64::NAN, f64::INFINITY, 2f64.powi(62)] {
            assert!(conn.stream(unknown).is_none(), "{unknown}");
        }
    }
}
