//! The UDP socket: batches in with GRO and recvmmsg, batches out with GSO, one encoded batch kept back when the kernel's
//! buffer is full.

use quinn_proto as qp;
use quinn_udp::{BATCH_SIZE, RecvMeta, UdpSocketState};
use std::io::{self, ErrorKind, IoSliceMut};
use std::net::{SocketAddr, UdpSocket};

/// Room for one GRO batch, the most a UDP datagram can be.
const BUFFER: usize = 65536;
/// Messages per system call. Fewer than the library's 32 keep a turn of the event loop short and two megabytes small.
const MESSAGES: usize = if BATCH_SIZE < 16 { BATCH_SIZE } else { 16 };
/// Segments per GSO batch: 44 of 1,452 bytes stay below 64 KiB.
const SEGMENTS: usize = 44;

pub struct Socket {
    pub socket: UdpSocket,
    state: UdpSocketState,
    buffers: Vec<u8>,
    metas: [RecvMeta; MESSAGES],
    /// What the kernel would not take.
    blocked: Option<(qp::Transmit, Vec<u8>)>,
    pub counters: Counters,
}

#[derive(Default, Clone, Copy)]
pub struct Counters {
    pub receive_calls: u64,
    pub received_packets: u64,
    pub received_bytes: u64,
    pub send_calls: u64,
    pub sent_packets: u64,
    pub sent_bytes: u64,
    pub send_errors: u64,
    pub last_send_errno: i32,
}

impl Socket {
    pub fn bind(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        let socket = UdpSocket::bind(address)?;
        let state = UdpSocketState::new((&socket).into())?;
        if buffer_bytes > 0 {
            // The kernel may grant less (net.core.rmem_max): that costs throughput, not correctness, and is told by
            // `receive_buffer`.
            drop(state.set_recv_buffer_size((&socket).into(), buffer_bytes));
            drop(state.set_send_buffer_size((&socket).into(), buffer_bytes));
        }
        Ok(Self {
            socket,
            state,
            buffers: vec![0; MESSAGES * BUFFER],
            metas: [RecvMeta::default(); MESSAGES],
            blocked: None,
            counters: Counters::default(),
        })
    }

    pub fn may_fragment(&self) -> bool {
        self.state.may_fragment()
    }

    /// Bytes of the kernel's receive buffer, as they are asked for; 0 where the system does not tell.
    pub fn receive_buffer(&self) -> usize {
        let bytes = self.state.recv_buffer_size((&self.socket).into()).unwrap_or(0);
        // Linux tells twice the number that was set: half of it is for its own records (socket(7)).
        if cfg!(target_os = "linux") { bytes / 2 } else { bytes }
    }

    pub fn segments(&self) -> usize {
        SEGMENTS.min(self.state.max_gso_segments()).max(1)
    }

    pub fn is_blocked(&self) -> bool {
        self.blocked.is_some()
    }

    /// One system call. Returns how many messages came; each is then read with `message`.
    pub fn receive(&mut self) -> usize {
        let mut chunks = self.buffers.chunks_exact_mut(BUFFER);
        let mut slices: [IoSliceMut; MESSAGES] =
            std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
        loop {
            match self.state.recv((&self.socket).into(), &mut slices, &mut self.metas) {
                Ok(count) => {
                    self.counters.receive_calls += 1;
                    return count;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Nothing there, or an ICMP error of an earlier send, which QUIC's own timers deal with.
                Err(_) => return 0,
            }
        }
    }

    pub fn message(&self, index: usize) -> (RecvMeta, &[u8]) {
        let meta = self.metas[index];
        (meta, &self.buffers[index * BUFFER..][..meta.len.min(BUFFER)])
    }

    /// Whether a count of messages means that more may wait.
    pub fn is_full(count: usize) -> bool {
        count == MESSAGES
    }

    /// Sends a batch of a connection. False: kept back, send nothing more until `retry` succeeds.
    pub fn send(&mut self, transmit: qp::Transmit, bytes: &[u8]) -> bool {
        if self.try_send(&transmit, bytes) {
            return true;
        }
        let bytes = bytes[..transmit.size].to_vec();
        self.blocked = Some((transmit, bytes));
        false
    }

    /// Sends an answer that no connection stands behind (Retry, version negotiation, reset): dropped if it does not go.
    pub fn send_or_drop(&mut self, transmit: &qp::Transmit, bytes: &[u8]) {
        self.try_send(transmit, bytes);
    }

    /// Tries the batch that was kept back again.
    pub fn retry(&mut self) {
        if let Some((transmit, bytes)) = self.blocked.take() {
            self.send(transmit, &bytes);
        }
    }

    /// False only when the kernel's buffer is full. Other failures count as loss: a probe above the path MTU (EMSGSIZE)
    /// is meant to fail, and the rest QUIC repeats.
    fn try_send(&mut self, transmit: &qp::Transmit, bytes: &[u8]) -> bool {
        let message = quinn_udp::Transmit {
            destination: transmit.destination,
            ecn: transmit.ecn.and_then(|ecn| quinn_udp::EcnCodepoint::from_bits(ecn as u8)),
            contents: &bytes[..transmit.size],
            segment_size: transmit.segment_size,
            src_ip: transmit.src_ip,
        };
        match self.state.try_send((&self.socket).into(), &message) {
            Ok(()) => {
                self.counters.send_calls += 1;
                self.counters.sent_packets +=
                    transmit.segment_size.map_or(1, |size| transmit.size.div_ceil(size)) as u64;
                self.counters.sent_bytes += transmit.size as u64;
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                if !quinn_udp::is_msg_size_err(&error) {
                    self.counters.send_errors += 1;
                    self.counters.last_send_errno = error.raw_os_error().unwrap_or(0);
                }
                true
            }
        }
    }
}
