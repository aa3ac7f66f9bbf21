//! The engine of one endpoint: packets in, events out, packets out. Knows neither N-API nor libuv, and never waits;
//! `shared.rs` calls it when the socket is readable or writable, when a timer fires and at the end of a turn.

use crate::admission::{AddressKey, Admission, Stage, Verdict};
use crate::config::{Limits, Settings};
use crate::events::{self, EventQueue};
use crate::napi::Fault;
use crate::socket::Socket;
use crate::table::{Conn, Table};
use crate::timers::Timers;
use crate::tls;
use bytes::BytesMut;
use qp::{ConnectionHandle, DatagramEvent, Dir, Event, StreamEvent};
use quinn_proto as qp;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

/// Bytes read from the socket in one turn of the event loop: at about 0.7 CPU-seconds a gigabyte this is under a
/// millisecond; the rest is read in the next turn, after others had theirs.
const RECEIVE_BUDGET: usize = 1 << 20;

pub struct Engine {
    endpoint: qp::Endpoint,
    client: Option<qp::ClientConfig>,
    server_terms: tls::ServerTerms,
    limits: Limits,
    accepting: bool,
    pub socket: Socket,
    pub conns: Table,
    pub events: EventQueue,
    pub admission: Admission,
    timers: Timers,
    dirty: Vec<usize>,
    /// Reused for packets under construction and for stateless answers.
    transmit: Vec<u8>,
    reply: Vec<u8>,
    pub handshakes_failed: u64,
}

impl Engine {
    pub fn new(settings: &Settings) -> Result<Self, Fault> {
        let server_terms = tls::ServerTerms::of(settings);
        let identity = settings.identity.as_ref();
        let server = identity.map(|(chain, key)| tls::server(&server_terms, chain, key)).transpose()?;
        let client = tls::client(settings)?;
        let socket = Socket::bind(settings.bind, settings.socket_buffer)
            .map_err(|error| Fault::new(c"ERR_BIND", format_args!("Cannot bind UDP {}: {error}", settings.bind)))?;
        let accepting = server.is_some();
        let config = Arc::new(qp::EndpointConfig::default());
        Ok(Self {
            endpoint: qp::Endpoint::new(config, server, !socket.may_fragment(), None),
            client,
            server_terms,
            limits: settings.limits,
            accepting,
            socket,
            conns: Table::default(),
            events: EventQueue::default(),
            admission: Admission::new(settings.limits),
            timers: Timers::default(),
            dirty: Vec::new(),
            transmit: Vec::with_capacity(65536),
            reply: Vec::new(),
            handshakes_failed: 0,
        })
    }

    /// Starts a handshake; returns the number of the connection.
    pub fn connect(&mut self, remote: SocketAddr, server_name: &str) -> Result<f64, Fault> {
        let config =
            self.client.clone().ok_or_else(|| Fault::argument("this endpoint has no roots to connect with"))?;
        let remote = self.reachable(remote)?;
        let (handle, inner) = self
            .endpoint
            .connect(Instant::now(), config, remote, server_name)
            .map_err(|error| Fault::new(c"ERR_CONNECT", format_args!("Cannot connect to {remote}: {error}")))?;
        let conn = self.conns.insert(handle.0, inner, self.limits.initial_streams);
        let number = conn.handle;
        self.mark(handle.0);
        Ok(number)
    }

    /// An IPv4 address is written as a mapped one on an IPv6 socket.
    fn reachable(&self, remote: SocketAddr) -> Result<SocketAddr, Fault> {
        let bound_v6 = self.socket.socket.local_addr().is_ok_and(|address| address.is_ipv6());
        match (bound_v6, remote.ip()) {
            (true, IpAddr::V4(ip)) => Ok(SocketAddr::new(IpAddr::V6(ip.to_ipv6_mapped()), remote.port())),
            (false, IpAddr::V6(ip)) if ip != Ipv6Addr::UNSPECIFIED => {
                Err(Fault::new(c"ERR_CONNECT", format_args!("Cannot reach {remote} from an IPv4 socket")))
            }
            _ => Ok(remote),
        }
    }

    /// Shows another certificate from now on; nothing when the endpoint accepts no connections (any more).
    pub fn set_identity(&mut self, chain: &[u8], key: &[u8]) -> Result<(), Fault> {
        if self.accepting {
            self.endpoint.set_server_config(Some(tls::server(&self.server_terms, chain, key)?));
        }
        Ok(())
    }

    /// Accepts no more connections; those in progress go on.
    pub fn stop_accepting(&mut self) {
        self.accepting = false;
        self.endpoint.set_server_config(None);
    }

    /// Notes that a connection may have something to send or to report.
    pub fn mark(&mut self, slot: usize) {
        if let Some(conn) = self.conns.get_mut(slot)
            && !conn.dirty
        {
            conn.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// Reads what the socket holds, up to the budget of a turn.
    pub fn receive(&mut self) {
        let mut bytes = 0;
        let mut packets = Vec::new();
        while bytes < RECEIVE_BUDGET {
            let count = self.socket.receive();
            let now = Instant::now();
            for index in 0..count {
                let (meta, data) = self.socket.message(index);
                bytes += data.len();
                // Memory of its own for each packet: stream data that waits for its reader is a slice of it, and in a
                // shared one it would keep the packets of forty other streams.
                packets.extend(data.chunks(meta.stride.max(1)).map(BytesMut::from));
                self.socket.counters.received_bytes += data.len() as u64;
                self.socket.counters.received_packets += packets.len() as u64;
                for packet in packets.drain(..) {
                    self.packet(now, &meta, packet);
                }
            }
            if !Socket::is_full(count) {
                break;
            }
        }
    }

    fn packet(&mut self, now: Instant, meta: &quinn_udp::RecvMeta, packet: BytesMut) {
        let ecn = meta.ecn.and_then(|ecn| qp::EcnCodepoint::from_bits(ecn as u8));
        self.reply.clear();
        match self.endpoint.handle(now, meta.addr, meta.dst_ip, ecn, packet, &mut self.reply) {
            Some(DatagramEvent::ConnectionEvent(handle, event)) => {
                if let Some(conn) = self.conns.get_mut(handle.0) {
                    conn.inner.handle_event(event);
                    self.mark(handle.0);
                }
            }
            Some(DatagramEvent::NewConnection(incoming)) => self.admit(incoming, now),
            Some(DatagramEvent::Response(transmit)) => self.socket.send_or_drop(&transmit, &self.reply),
            None => {}
        }
    }

    fn admit(&mut self, incoming: qp::Incoming, now: Instant) {
        let key = AddressKey::of(incoming.remote_address());
        let verified = incoming.remote_address_validated();
        let mut verdict = self.admission.judge(key, verified, incoming.may_retry());
        if !self.accepting {
            verdict = Verdict::Refuse;
        }
        self.reply.clear();
        let answer = match verdict {
            Verdict::Retry => {
                self.admission.retries_sent += 1;
                self.endpoint.retry(incoming, &mut self.reply).ok()
            }
            Verdict::Refuse => {
                self.admission.refused += 1;
                Some(self.endpoint.refuse(incoming, &mut self.reply))
            }
            Verdict::Accept => match self.endpoint.accept(incoming, now, &mut self.reply, None) {
                Ok((handle, inner)) => {
                    let stage = if verified { Stage::VerifiedHandshake } else { Stage::UnverifiedHandshake };
                    self.admission.add(key, stage);
                    let conn = self.conns.insert(handle.0, inner, self.limits.initial_streams);
                    conn.counted = Some((key, stage));
                    self.mark(handle.0);
                    None
                }
                Err(error) => {
                    self.handshakes_failed += 1;
                    error.response
                }
            },
        };
        if let Some(transmit) = answer {
            self.socket.send_or_drop(&transmit, &self.reply);
        }
    }

    /// Runs the timers that are due.
    pub fn expire(&mut self) {
        let now = Instant::now();
        while let Some(slot) = self.timers.pop_due(now) {
            let Some(conn) = self.conns.get_mut(slot) else { continue };
            conn.timer = None;
            match conn.inner.poll_timeout() {
                Some(deadline) if deadline <= now => {
                    conn.inner.handle_timeout(now);
                    self.mark(slot);
                }
                Some(deadline) => self.timers.update(slot, &mut conn.timer, deadline),
                None => {}
            }
        }
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Collects events of connections that had packets, timers or calls, before anything is sent for them.
    pub fn collect_dirty(&mut self) {
        for index in 0..self.dirty.len() {
            self.collect(self.dirty[index]);
        }
    }

    /// Sends what the marked connections have to send, and collects the events that follow from it.
    pub fn flush(&mut self) {
        let now = Instant::now();
        let mut waiting = std::mem::take(&mut self.dirty);
        for slot in waiting.drain(..) {
            let Some(conn) = self.conns.get_mut(slot) else { continue };
            conn.dirty = false;
            let segments = self.socket.segments();
            while !self.socket.is_blocked() {
                self.transmit.clear();
                let Some(transmit) = conn.inner.poll_transmit(now, segments, &mut self.transmit) else { break };
                self.socket.send(transmit, &self.transmit);
            }
            if let Some(deadline) = conn.inner.poll_timeout() {
                self.timers.update(slot, &mut conn.timer, deadline);
            }
            self.collect(slot);
            if self.socket.is_blocked() {
                self.mark(slot);
            }
        }
        if self.dirty.is_empty() {
            self.dirty = waiting;
        }
    }

    /// Moves what a connection has to tell to the endpoint and to the event queue; forgets it once drained.
    fn collect(&mut self, slot: usize) {
        let Some(conn) = self.conns.get_mut(slot) else { return };
        loop {
            let mut idle = true;
            while let Some(event) = conn.inner.poll_endpoint_events() {
                idle = false;
                if let Some(answer) = self.endpoint.handle_event(ConnectionHandle(slot), event) {
                    conn.inner.handle_event(answer);
                }
            }
            while let Some(event) = conn.inner.poll() {
                idle = false;
                match event {
                    Event::Connected => {
                        if let Some((key, stage)) = conn.counted.replace_stage(Stage::Established) {
                            self.admission.remove(key, stage);
                            self.admission.add(key, Stage::Established);
                        }
                        self.events.push_text(events::CONNECTED, conn.handle, 0.0, 0.0, describe(conn));
                    }
                    Event::ConnectionLost { reason } => {
                        if conn.counted.is_some_and(|(_, stage)| stage != Stage::Established) {
                            self.handshakes_failed += 1;
                        }
                        let (kind, code, text) = ending(&reason);
                        self.events.push_text(events::CLOSED, conn.handle, kind, code, text);
                    }
                    Event::Stream(event) => {
                        stream_event(conn, event, &mut self.events, &self.limits);
                    }
                    Event::DatagramReceived => self.events.push(events::DATAGRAM, conn.handle, 0.0, 0.0),
                    Event::HandshakeDataReady | Event::DatagramsUnblocked => {}
                }
            }
            if idle {
                break;
            }
        }
        if conn.wants_flushed.is_some_and(|open| conn.inner.streams().send_streams() <= open) {
            conn.wants_flushed = None;
            self.events.push(events::FLUSHED, conn.handle, 0.0, 0.0);
        }
        if conn.ping.is_some_and(|acks| conn.inner.stats().frame_rx.acks > acks) {
            conn.ping = None;
            self.events.push(events::PONG, conn.handle, 0.0, 0.0);
        }
        if conn.inner.is_drained() {
            self.forget(slot);
        }
    }

    fn forget(&mut self, slot: usize) {
        let Some(mut conn) = self.conns.remove(slot) else { return };
        self.timers.remove(slot, &mut conn.timer);
        if let Some((key, stage)) = conn.counted {
            self.admission.remove(key, stage);
        }
        self.events.push(events::DRAINED, conn.handle, 0.0, 0.0);
    }
}

/// Replaces the stage inside an optional count, returning what was there.
trait ReplaceStage {
    fn replace_stage(&mut self, stage: Stage) -> Option<(AddressKey, Stage)>;
}

impl ReplaceStage for Option<(AddressKey, Stage)> {
    fn replace_stage(&mut self, stage: Stage) -> Option<(AddressKey, Stage)> {
        let (key, before) = (*self)?;
        *self = Some((key, stage));
        Some((key, before))
    }
}

fn stream_event(conn: &mut Conn, event: StreamEvent, events: &mut EventQueue, limits: &Limits) {
    match event {
        StreamEvent::Opened { dir: Dir::Bi } => {
            while let Some(id) = conn.inner.streams().accept(Dir::Bi) {
                conn.accepted = id.index() + 1;
                events.push(events::OPENED, conn.handle, u64::from(id) as f64, 0.0);
            }
            // The allowance costs memory per stream allowed, so it starts small and doubles when half of it is in use.
            let open = conn.inner.streams().remote_open_streams(Dir::Bi);
            if open * 2 >= conn.stream_allowance && conn.stream_allowance < limits.max_streams {
                conn.stream_allowance = (conn.stream_allowance * 2).min(limits.max_streams);
                let allowance = qp::VarInt::from_u64(conn.stream_allowance).unwrap_or(qp::VarInt::MAX);
                conn.inner.set_max_concurrent_streams(Dir::Bi, allowance);
            }
        }
        StreamEvent::Readable { id } => events.push(events::READABLE, conn.handle, u64::from(id) as f64, 0.0),
        StreamEvent::Writable { id } => events.push(events::WRITABLE, conn.handle, u64::from(id) as f64, 0.0),
        StreamEvent::Stopped { id, error_code } => {
            // RFC 9000 §3.5: STOP_SENDING is answered with RESET_STREAM of the same code. An error means that the
            // stream is reset or finished already, which is an answer too.
            drop(conn.inner.send_stream(id).reset(error_code));
            events.push(events::STOPPED, conn.handle, u64::from(id) as f64, error_code.into_inner() as f64);
        }
        StreamEvent::Available { dir: Dir::Bi } => events.push(events::STREAMS_AVAILABLE, conn.handle, 0.0, 0.0),
        // Unidirectional streams are not allowed to the peer; an acknowledged FIN is of interest to `wants_flushed` only.
        StreamEvent::Opened { .. } | StreamEvent::Available { .. } | StreamEvent::Finished { .. } => {}
    }
}

/// Text of a CONNECTED event: ALPN, TLS group, peer's address, server name, one a line.
fn describe(conn: &Conn) -> String {
    let data = conn.inner.crypto_session().handshake_data();
    let data = data.and_then(|data| data.downcast::<qp::crypto::rustls::HandshakeData>().ok());
    let (alpn, group, name) = data.map_or_else(Default::default, |data| {
        let alpn = data.protocol.map(|name| String::from_utf8_lossy(&name).into_owned()).unwrap_or_default();
        (alpn, format!("{:?}", data.negotiated_key_exchange_group), data.server_name.unwrap_or_default())
    });
    format!("{alpn}\n{group}\n{}\n{name}", canonical(conn.inner.remote_address()))
}

/// An address as people write it: mapped IPv4 as IPv4.
pub fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Fields of a CLOSED event: kind (see README.md), code, text.
fn ending(reason: &qp::ConnectionError) -> (f64, f64, String) {
    use qp::ConnectionError as E;
    let text = reason.to_string();
    match reason {
        E::ApplicationClosed(close) => {
            (1.0, close.error_code.into_inner() as f64, String::from_utf8_lossy(&close.reason).into_owned())
        }
        E::ConnectionClosed(close) => (2.0, u64::from(close.error_code) as f64, text),
        E::TimedOut => (3.0, 0.0, text),
        E::TransportError(error) => (4.0, u64::from(error.code) as f64, text),
        E::Reset => (5.0, 0.0, text),
        E::VersionMismatch => (6.0, 0.0, text),
        E::LocallyClosed | E::CidsExhausted => (7.0, 0.0, text),
    }
}
