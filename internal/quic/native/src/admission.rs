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

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        initial_streams: 1,
        max_streams: 1,
        retry_threshold: 3,
        max_connections: 6,
        max_connections_per_address: 3,
        max_handshakes_per_address: 2,
    };

    fn key(text: &str) -> AddressKey {
        AddressKey::of(text.parse().expect("an address"))
    }

    #[test]
    fn counts_an_ipv6_network_of_64_bits_as_one_address() {
        assert!(key("[2001:db8:1:2::1]:1") == key("[2001:db8:1:2:ffff::9]:2"));
        assert!(key("[2001:db8:1:2::1]:1") != key("[2001:db8:1:3::1]:1"));
        assert!(key("[::ffff:192.0.2.1]:1") == key("192.0.2.1:9"), "a mapped address is the IPv4 one");
        assert!(key("192.0.2.1:1") != key("192.0.2.2:1"));
    }

    #[test]
    fn asks_for_a_retry_once_many_handshakes_run() {
        let mut admission = Admission::new(LIMITS);
        for host in 1..=3 {
            let key = key(&format!("192.0.2.{host}:1"));
            assert_eq!(admission.judge(key, false, true), Verdict::Accept);
            admission.add(key, Stage::UnverifiedHandshake);
        }
        let other = key("192.0.2.9:1");
        assert_eq!(admission.judge(other, false, true), Verdict::Retry);
        assert_eq!(admission.judge(other, true, false), Verdict::Accept, "a verified address is not made to wait");
    }

    #[test]
    fn forged_packets_do_not_use_up_the_share_of_a_verified_address() {
        let mut admission = Admission::new(LIMITS);
        let victim = key("192.0.2.1:1");
        admission.add(victim, Stage::UnverifiedHandshake);
        admission.add(victim, Stage::UnverifiedHandshake);
        assert_eq!(admission.judge(victim, false, true), Verdict::Retry);
        assert_eq!(admission.judge(victim, true, false), Verdict::Accept);
    }

    #[test]
    fn refuses_a_verified_address_at_its_limits() {
        let mut admission = Admission::new(LIMITS);
        let one = key("192.0.2.1:1");
        admission.add(one, Stage::VerifiedHandshake);
        admission.add(one, Stage::VerifiedHandshake);
        assert_eq!(admission.judge(one, true, false), Verdict::Refuse, "too many handshakes");
        admission.remove(one, Stage::VerifiedHandshake);
        admission.add(one, Stage::Established);
        admission.add(one, Stage::Established);
        assert_eq!(admission.judge(one, true, false), Verdict::Refuse, "too many connections");
    }

    #[test]
    fn refuses_everybody_at_the_limit_of_all() {
        let mut admission = Admission::new(LIMITS);
        for host in 1..=6 {
            admission.add(key(&format!("192.0.2.{host}:1")), Stage::Established);
        }
        assert_eq!(admission.judge(key("192.0.2.9:1"), false, true), Verdict::Refuse);
        assert_eq!(admission.judge(key("192.0.2.9:1"), true, false), Verdict::Refuse);
    }

    #[test]
    fn forgets_addresses_whose_connections_are_over() {
        let mut admission = Admission::new(LIMITS);
        let one = key("192.0.2.1:1");
        for stage in [Stage::UnverifiedHandshake, Stage::VerifiedHandshake, Stage::Established] {
            admission.add(one, stage);
        }
        assert_eq!(admission.handshakes(), 2);
        for stage in [Stage::UnverifiedHandshake, Stage::VerifiedHandshake, Stage::Established] {
            admission.remove(one, stage);
        }
        admission.remove(one, Stage::Established);
        assert_eq!((admission.handshakes(), admission.total, admission.addresses.len()), (0, 0, 0));
    }
}
