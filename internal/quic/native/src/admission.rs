//! Who may connect. State is kept only for addresses that proved themselves or while few handshakes run: once
//! `retry_threshold` handshakes are in progress, an unverified address gets a stateless Retry and costs nothing.
//! Spoofed packets cannot use up a victim's share: an unverified address at its limit gets a Retry too, and verified
//! handshakes are counted apart from unverified ones.

use crate::config::Limits;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// An IPv4 address, or the /64 of an IPv6 one (which is what one customer usually has).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(u64);

impl AddressKey {
    pub fn of(address: SocketAddr) -> Self {
        match address.ip().to_canonical() {
            // The range 0000::/64 holds no unicast /64 that a peer could come from, so the two kinds do not meet.
            IpAddr::V4(ip) => Self(u64::from(u32::from(ip))),
            IpAddr::V6(ip) => Self((u128::from(ip) >> 64) as u64),
        }
    }
}

/// How far a connection has come; what it is counted as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    UnverifiedHandshake,
    VerifiedHandshake,
    Established,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Accept,
    Retry,
    Refuse,
}

#[derive(Default, Clone, Copy)]
struct Counts {
    unverified: u32,
    verified: u32,
    established: u32,
}

impl Counts {
    fn of(&mut self, stage: Stage) -> &mut u32 {
        match stage {
            Stage::UnverifiedHandshake => &mut self.unverified,
            Stage::VerifiedHandshake => &mut self.verified,
            Stage::Established => &mut self.established,
        }
    }
}

pub struct Admission {
    limits: Limits,
    addresses: HashMap<AddressKey, Counts>,
    handshakes: usize,
    total: usize,
    pub retries_sent: u64,
    pub refused: u64,
}

impl Admission {
    pub fn new(limits: Limits) -> Self {
        Self { limits, addresses: HashMap::new(), handshakes: 0, total: 0, retries_sent: 0, refused: 0 }
    }

    /// What to do with a first packet. `may_retry` is false when the packet brings a valid token already.
    pub fn judge(&self, key: AddressKey, verified: bool, may_retry: bool) -> Verdict {
        let limits = &self.limits;
        let counts = self.addresses.get(&key).copied().unwrap_or_default();
        if !verified && may_retry {
            let busy = self.handshakes >= limits.retry_threshold;
            let crowded = counts.unverified >= limits.max_handshakes_per_address
                || counts.established + counts.verified + counts.unverified >= limits.max_connections_per_address;
            return if busy || crowded { Verdict::Retry } else { self.within_total(Verdict::Accept) };
        }
        let crowded = counts.verified >= limits.max_handshakes_per_address
            || counts.established + counts.verified >= limits.max_connections_per_address;
        if crowded { Verdict::Refuse } else { self.within_total(Verdict::Accept) }
    }

    fn within_total(&self, verdict: Verdict) -> Verdict {
        if self.total >= self.limits.max_connections { Verdict::Refuse } else { verdict }
    }

    pub fn add(&mut self, key: AddressKey, stage: Stage) {
        *self.addresses.entry(key).or_default().of(stage) += 1;
        self.total += 1;
        if stage != Stage::Established {
            self.handshakes += 1;
        }
    }

    pub fn remove(&mut self, key: AddressKey, stage: Stage) {
        let Some(counts) = self.addresses.get_mut(&key) else { return };
        let count = counts.of(stage);
        *count = count.saturating_sub(1);
        if counts.unverified == 0 && counts.verified == 0 && counts.established == 0 {
            self.addresses.remove(&key);
        }
        self.total = self.total.saturating_sub(1);
        if stage != Stage::Established {
            self.handshakes = self.handshakes.saturating_sub(1);
        }
    }

    pub fn handshakes(&self) -> usize {
        self.handshakes
    }
}
