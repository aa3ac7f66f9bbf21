//! The methods that tell figures: of a connection for every use, of its path and frames for a scrape, of an endpoint.
//! Same rules as `calls.rs`.

use crate::calls::{Outcome, with_conn};
use crate::napi::Call;
use crate::shared::{STATE, Shared};
use crate::watched;
use qp::coding::Codec;
use quinn_proto as qp;

/// Kinds of frames, an order that `path-details.ts` knows.
const FRAMES: usize = 22;
const _: () = assert!(3 + 2 * FRAMES <= STATE);

/// RFC 9000 §18.2.
const MAX_UDP_PAYLOAD_ID: u64 = 3;
const MAX_UDP_PAYLOAD_DEFAULT: u64 = 65527;

fn tell(shared: &Shared, numbers: impl IntoIterator<Item = f64>) {
    numbers.into_iter().enumerate().for_each(|(index, number)| shared.set_state(index, number));
}

/// stats(connection) → whether it exists; the numbers are in the state, in this order
pub fn stats(call: &Call, shared: &Shared) -> Outcome {
    let found = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get_mut(slot) else { return Ok(()) };
        let (all, sending) = (conn.inner.stats(), conn.inner.streams().send_streams());
        tell(
            shared,
            [
                all.path.rtt.as_secs_f64() * 1000.0,
                all.path.min_rtt.as_secs_f64() * 1000.0,
                all.path.cwnd as f64,
                f64::from(all.path.current_mtu),
                all.path.sent_packets as f64,
                all.path.lost_packets as f64,
                all.path.congestion_events as f64,
                all.udp_tx.bytes as f64,
                all.udp_rx.bytes as f64,
                all.udp_tx.datagrams as f64,
                all.udp_rx.datagrams as f64,
                sending as f64,
                all.frame_rx.datagram as f64,
                conn.datagrams_delivered as f64,
                all.path.black_holes_detected as f64,
            ],
        );
        Ok(())
    })?;
    Ok(call.env.int(i32::from(found.is_some())))
}

/// pathDetails(connection) → whether it exists; the numbers are in the state: last round trip in ms, phase of congestion
/// control, the largest UDP payload that the peer takes (-1: not known), frames sent and frames received, a kind each
pub fn path_details(call: &Call, shared: &Shared) -> Outcome {
    let found = with_conn(call, shared, |engine, slot| {
        let Some(conn) = engine.conns.get(slot) else { return Ok(()) };
        let (latest, phase) = watched::notes(conn.inner.congestion_state());
        let params = conn.inner.crypto_session().transport_parameters().ok().flatten();
        let payload = params.and_then(|params| {
            let mut encoded = Vec::new();
            params.write(&mut encoded);
            max_udp_payload(&encoded)
        });
        let path = [
            latest.map_or(-1.0, |rtt| rtt.as_secs_f64() * 1000.0),
            phase.map_or(-1.0, |phase| f64::from(phase as u8)),
            payload.map_or(-1.0, |bytes| bytes as f64),
        ];
        let all = conn.inner.stats();
        tell(shared, path.into_iter().chain(frames(&all.frame_tx)).chain(frames(&all.frame_rx)));
        Ok(())
    })?;
    Ok(call.env.int(i32::from(found.is_some())))
}

fn frames(count: &qp::FrameStats) -> [f64; FRAMES] {
    [
        count.acks,
        count.ack_frequency,
        count.connection_close,
        count.crypto,
        count.data_blocked,
        count.datagram,
        u64::from(count.handshake_done),
        count.immediate_ack,
        count.max_data,
        count.max_stream_data,
        count.max_streams_bidi + count.max_streams_uni,
        count.new_connection_id,
        count.new_token,
        count.path_challenge,
        count.path_response,
        count.ping,
        count.reset_stream,
        count.retire_connection_id,
        count.stop_sending,
        count.stream,
        count.stream_data_blocked,
        count.streams_blocked_bidi + count.streams_blocked_uni,
    ]
    .map(|number| number as f64)
}

/// Reads one number of encoded transport parameters, which quinn-proto keeps private. None when they are malformed.
fn max_udp_payload(mut encoded: &[u8]) -> Option<u64> {
    while !encoded.is_empty() {
        let id = qp::VarInt::decode(&mut encoded).ok()?.into_inner();
        let length = qp::VarInt::decode(&mut encoded).ok()?.into_inner();
        let (mut value, rest) = encoded.split_at_checked(usize::try_from(length).ok()?)?;
        if id == MAX_UDP_PAYLOAD_ID {
            return Some(qp::VarInt::decode(&mut value).ok()?.into_inner());
        }
        encoded = rest;
    }
    Some(MAX_UDP_PAYLOAD_DEFAULT)
}

/// endpointStats() → whether it is open; the numbers are in the state, in this order
pub fn endpoint_stats(call: &Call, shared: &Shared) -> Outcome {
    let Some(engine) = shared.engine() else { return Ok(call.env.int(0)) };
    let counters = engine.socket.counters;
    tell(
        shared,
        [
            engine.conns.len() as f64,
            engine.admission.handshakes() as f64,
            engine.admission.retries_sent as f64,
            engine.admission.refused as f64,
            engine.handshakes_failed as f64,
            counters.receive_calls as f64,
            counters.received_packets as f64,
            counters.received_bytes as f64,
            counters.send_calls as f64,
            counters.sent_packets as f64,
            counters.sent_bytes as f64,
            counters.send_errors as f64,
            f64::from(counters.last_send_errno),
            engine.socket.receive_buffer() as f64,
        ],
    );
    Ok(call.env.int(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::connecting;

    #[test]
    fn reads_the_payload_among_other_parameters() {
        assert_eq!(max_udp_payload(&[0x01, 0x02, 0x40, 0x64, 0x03, 0x02, 0x45, 0xc0]), Some(1472));
        assert_eq!(max_udp_payload(&[0x0c, 0x00]), Some(65527));
        assert_eq!(max_udp_payload(&[]), Some(65527));
    }

    #[test]
    fn gives_nothing_for_malformed_parameters() {
        for encoded in [&[0x03][..], &[0x03, 0x02, 0x45], &[0x03, 0x00], &[0x01, 0x3f, 0x00], &[0xff]] {
            assert_eq!(max_udp_payload(encoded), None, "{encoded:?}");
        }
    }

    #[test]
    fn counts_the_frames_that_were_sent() {
        let (_endpoint, mut connection) = connecting();
        let mut packet = Vec::new();
        assert!(connection.poll_transmit(std::time::Instant::now(), 1, &mut packet).is_some());
        let sent = frames(&connection.stats().frame_tx);
        assert!(sent[3] >= 1.0, "{sent:?}");
        assert_eq!(sent[19], 0.0);
    }
}
