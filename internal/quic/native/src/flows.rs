//! The methods for streams and datagrams: the hot path. Same rules as `calls.rs`.

use crate::calls::{GONE, Outcome, changed, varint, with_conn};
use crate::napi::{Call, Fault};
use crate::shared::Shared;
use bytes::Bytes;
use quinn_proto as qp;

/// What `read` says in the first state number.
mod status {
    pub const MORE: f64 = 0.0;
    pub const BLOCKED: f64 = 1.0;
    pub const END: f64 = 2.0;
    pub const RESET: f64 = 3.0;
    pub const GONE: f64 = 4.0;
}

/// openStream(connection) → id; -1: the peer allows no more now (STREAMS_AVAILABLE follows)
pub fn open_stream(call: &Call, shared: &Shared) -> Outcome {
    let id = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(None) };
        let id = conn.inner.streams().open(qp::Dir::Bi);
        conn.opened += u64::from(id.is_some());
        Ok(id)
    })?;
    Ok(match id {
        Some(Some(id)) => call.env.number(u64::from(id) as f64),
        Some(None) => call.env.int(-1),
        None => call.env.int(GONE),
    })
}

/// read(connection, stream, buffer, offset) → bytes read; state[0] = status, state[1] = reset code
pub fn read(call: &Call, shared: &Shared) -> Outcome {
    let (id, offset) = (call.number(1)?, call.number(3)? as usize);
    let mut bytes = call.bytes(2)?;
    let buffer = bytes.get_mut(offset..).ok_or_else(|| Fault::argument("offset is outside of the buffer"))?;
    shared.set_state(0, status::GONE);
    let count = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(0) };
        let Some(id) = conn.stream(id) else { return Ok(0) };
        let mut stream = conn.inner.recv_stream(id);
        let Ok(mut chunks) = stream.read(true) else { return Ok(0) };
        let mut filled = 0;
        let mut outcome = status::MORE;
        while filled < buffer.len() {
            match chunks.next(buffer.len() - filled) {
                Ok(Some(chunk)) => {
                    buffer[filled..filled + chunk.bytes.len()].copy_from_slice(&chunk.bytes);
                    filled += chunk.bytes.len();
                }
                Ok(None) => {
                    outcome = status::END;
                    break;
                }
                Err(qp::ReadError::Blocked) => {
                    outcome = status::BLOCKED;
                    break;
                }
                Err(qp::ReadError::Reset(code)) => {
                    outcome = status::RESET;
                    shared.set_state(1, code.into_inner() as f64);
                    break;
                }
            }
        }
        shared.set_state(0, outcome);
        if chunks.finalize().should_transmit() {
            changed(engine, slot, shared);
        }
        Ok(filled)
    })?;
    Ok(call.env.int(count.unwrap_or(0) as i32))
}

/// receivedReset(connection, stream) → code of the peer's reset; -1: none came. Looks past unread data, which a reset voids
pub fn received_reset(call: &Call, shared: &Shared) -> Outcome {
    let id = call.number(1)?;
    let code = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(None) };
        let Some(id) = conn.stream(id) else { return Ok(None) };
        let code = conn.inner.recv_stream(id).received_reset().ok().flatten();
        if code.is_some() {
            // The stream no longer counts: the peer may be allowed another.
            changed(engine, slot, shared);
        }
        Ok(code)
    })?;
    Ok(code.flatten().map_or(call.env.int(-1), |code| call.env.number(code.into_inner() as f64)))
}

/// write(connection, stream, buffer, fin) → bytes taken (fewer: WRITABLE follows; the FIN counts only if all were taken)
pub fn write(call: &Call, shared: &Shared) -> Outcome {
    let (id, buffer, fin) = (call.number(1)?, call.bytes(2)?, call.flag(3)?);
    let taken = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(GONE) };
        let Some(id) = conn.stream(id) else { return Ok(GONE) };
        let mut stream = conn.inner.send_stream(id);
        let mut taken = 0;
        while taken < buffer.len() {
            match stream.write(&buffer[taken..]) {
                Ok(count) => taken += count,
                Err(qp::WriteError::Blocked) => break,
                Err(_) => return Ok(GONE),
            }
        }
        if fin && taken == buffer.len() && stream.finish().is_err() {
            return Ok(GONE);
        }
        changed(engine, slot, shared);
        Ok(taken as i32)
    })?;
    Ok(call.env.int(taken.unwrap_or(GONE)))
}

/// reset(connection, stream, code): abandons sending. Nothing happens when it is ended already.
pub fn reset(call: &Call, shared: &Shared) -> Outcome {
    let (id, code) = (call.number(1)?, varint(call.number(2)?)?);
    with_conn(call, shared, |engine, slot| {
        if let Some(conn) = engine.conns.get_mut(slot)
            && let Some(id) = conn.stream(id)
            && conn.inner.send_stream(id).reset(code).is_ok()
        {
            changed(engine, slot, shared);
        }
        Ok(())
    })?;
    Ok(call.env.undefined())
}

/// stop(connection, stream, code): asks the peer to stop sending and drops what came. Nothing happens when it is ended.
pub fn stop(call: &Call, shared: &Shared) -> Outcome {
    let (id, code) = (call.number(1)?, varint(call.number(2)?)?);
    with_conn(call, shared, |engine, slot| {
        if let Some(conn) = engine.conns.get_mut(slot)
            && let Some(id) = conn.stream(id)
            && conn.inner.recv_stream(id).stop(code).is_ok()
        {
            changed(engine, slot, shared);
        }
        Ok(())
    })?;
    Ok(call.env.undefined())
}

/// sendDatagram(connection, buffer, length) → of the first `length` bytes: 1 queued, 0 the queue is full, -1 too large for the path or the peer
pub fn send_datagram(call: &Call, shared: &Shared) -> Outcome {
    let length = call.number(2)? as usize;
    let bytes = call.bytes(1)?;
    let buffer = bytes.get(..length).ok_or_else(|| Fault::argument("length is outside of the buffer"))?;
    let result = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(GONE) };
        let mut datagrams = conn.inner.datagrams();
        // Asked first, so that nothing is copied for nothing.
        if datagrams.max_size().is_none_or(|most| buffer.len() > most) {
            return Ok(-1);
        }
        match datagrams.send(Bytes::copy_from_slice(buffer), false) {
            Ok(()) => {
                changed(engine, slot, shared);
                Ok(1)
            }
            Err(qp::SendDatagramError::Blocked(_)) => Ok(0),
            Err(_) => Ok(-1),
        }
    })?;
    Ok(call.env.int(result.unwrap_or(GONE)))
}

/// readDatagrams(connection, buffer) → bytes filled, as records [u16 little-endian length][bytes]; 0: none waits
pub fn read_datagrams(call: &Call, shared: &Shared) -> Outcome {
    let mut buffer = call.bytes(1)?;
    let filled = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(0) };
        let mut filled = 0;
        while let Some(datagram) = conn.held.take().or_else(|| conn.inner.datagrams().recv()) {
            let end = filled + 2 + datagram.len();
            if end > buffer.len() {
                // One that fits no buffer at all is dropped; it shows in the count of those not delivered.
                if filled > 0 {
                    conn.held = Some(datagram);
                }
                break;
            }
            buffer[filled..filled + 2].copy_from_slice(&(datagram.len() as u16).to_le_bytes());
            buffer[filled + 2..end].copy_from_slice(&datagram);
            conn.datagrams_delivered += 1;
            filled = end;
        }
        Ok(filled)
    })?;
    Ok(call.env.int(filled.unwrap_or(0) as i32))
}

/// maxDatagram(connection) → bytes that fit one datagram now; 0 when the peer takes none
pub fn max_datagram(call: &Call, shared: &Shared) -> Outcome {
    let most = with_conn(call, shared, |engine, slot| {
        Ok(engine.conns.get_mut(slot).and_then(|conn| conn.inner.datagrams().max_size()))
    })?;
    Ok(call.env.int(most.flatten().unwrap_or(0) as i32))
}
