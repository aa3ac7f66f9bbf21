//! A congestion controller that also notes what quinn-proto keeps to itself: the last round trip and the phase. It
//! changes nothing: each call goes on to the controller inside. Keep it whole when the trait grows a method.

use quinn_proto::RttEstimator;
use quinn_proto::congestion::{Controller, ControllerFactory, ControllerMetrics};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The numbers of cloudflared's `quic_client_congestion_state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    SlowStart = 0,
    Avoidance = 1,
    ApplicationLimited = 2,
    Recovery = 3,
}

/// Has every controller of `0` watched.
pub struct Watching(pub Arc<dyn ControllerFactory + Send + Sync>);

impl ControllerFactory for Watching {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Watched { inner: self.0.clone().build(now, current_mtu), notes: Notes::default() })
    }
}

struct Watched {
    inner: Box<dyn Controller>,
    notes: Notes,
}

#[derive(Clone, Copy, Default)]
struct Notes {
    latest_rtt: Option<Duration>,
    /// When the newest packet was sent of those that were acknowledged.
    newest_acked: Option<Instant>,
    /// When the last recovery period began (RFC 9002 §7.3.2); it ends with an acknowledgement of a later packet.
    recovery_began: Option<Instant>,
    recovering: bool,
    application_limited: bool,
}

impl Notes {
    fn acked(&mut self, now: Instant, sent: Instant, application_limited: bool) {
        // Packets that fill an older gap were acknowledged late: they are no sample (RFC 9002 §5.1).
        if self.newest_acked.is_none_or(|newest| sent >= newest) {
            self.newest_acked = Some(sent);
            self.latest_rtt = Some(now.saturating_duration_since(sent));
        }
        if self.recovery_began.is_none_or(|began| sent > began) {
            self.recovering = false;
            self.application_limited = application_limited;
        }
    }

    fn congested(&mut self, now: Instant, sent: Instant) {
        if self.recovery_began.is_none_or(|began| sent > began) {
            self.recovery_began = Some(now);
            self.recovering = true;
        }
    }

    /// None where the controller has no slow start.
    fn phase(&self, metrics: &ControllerMetrics) -> Option<Phase> {
        match metrics.ssthresh {
            _ if self.recovering => Some(Phase::Recovery),
            _ if self.application_limited => Some(Phase::ApplicationLimited),
            Some(threshold) if metrics.congestion_window < threshold => Some(Phase::SlowStart),
            Some(_) => Some(Phase::Avoidance),
            None => None,
        }
    }
}

/// The last round trip and the phase of a connection's controller, where known. Copies the controller.
pub fn notes(controller: &dyn Controller) -> (Option<Duration>, Option<Phase>) {
    let metrics = controller.metrics();
    let watched = controller.clone_box().into_any().downcast::<Watched>();
    watched.map_or((None, None), |watched| (watched.notes.latest_rtt, watched.notes.phase(&metrics)))
}

impl Controller for Watched {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.inner.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.notes.acked(now, sent, app_limited);
        self.inner.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.inner.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        self.notes.congested(now, sent);
        self.inner.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.inner.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.inner.window()
    }

    fn metrics(&self) -> ControllerMetrics {
        self.inner.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self { inner: self.inner.clone_box(), notes: self.notes })
    }

    fn initial_window(&self) -> u64 {
        self.inner.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quinn_proto::congestion::{BbrConfig, CubicConfig};

    fn watched(of: impl ControllerFactory + Send + Sync + 'static) -> (Box<dyn Controller>, Instant) {
        let now = Instant::now();
        (Arc::new(Watching(Arc::new(of))).build(now, 1200), now)
    }

    #[test]
    fn passes_everything_on_and_knows_nothing_at_first() {
        let (mut controller, now) = watched(CubicConfig::default());
        let plain = Arc::new(CubicConfig::default()).build(now, 1200);
        assert_eq!(controller.window(), plain.window());
        assert_eq!(controller.initial_window(), plain.initial_window());
        assert_eq!(notes(controller.as_ref()), (None, Some(Phase::SlowStart)));
        controller.on_mtu_update(1452);
        assert_ne!(controller.initial_window(), 0);
        assert_eq!(notes(plain.as_ref()), (None, None));
    }

    #[test]
    fn congestion_shrinks_the_window_inside_and_is_recovery() {
        let (mut controller, now) = watched(CubicConfig::default());
        let before = controller.window();
        controller.on_congestion_event(now, now, false, 1200);
        assert!(controller.window() < before);
        assert_eq!(notes(controller.as_ref()).1, Some(Phase::Recovery));
    }

    #[test]
    fn recovery_ends_with_a_packet_that_was_sent_in_it() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut notes = Notes::default();
        notes.congested(start + ms(10), start);
        notes.acked(start + ms(20), start + ms(5), false);
        assert!(notes.recovering);
        notes.acked(start + ms(30), start + ms(15), true);
        assert!(!notes.recovering && notes.application_limited);
        // A packet of before that is found lost only now begins no second period.
        notes.congested(start + ms(31), start + ms(9));
        assert!(!notes.recovering);
        let mut metrics = ControllerMetrics::default();
        assert_eq!(notes.phase(&metrics), Some(Phase::ApplicationLimited));
        notes.acked(start + ms(40), start + ms(35), false);
        metrics.congestion_window = 10;
        metrics.ssthresh = Some(10);
        assert_eq!(notes.phase(&metrics), Some(Phase::Avoidance));
    }

    #[test]
    fn the_latest_round_trip_is_of_the_newest_packet() {
        let (start, ms) = (Instant::now(), Duration::from_millis);
        let mut notes = Notes::default();
        notes.acked(start + ms(20), start + ms(5), false);
        assert_eq!(notes.latest_rtt, Some(ms(15)));
        notes.acked(start + ms(90), start + ms(4), false);
        assert_eq!(notes.latest_rtt, Some(ms(15)));
        notes.acked(start + ms(91), start + ms(80), false);
        assert_eq!(notes.latest_rtt, Some(ms(11)));
    }

    #[test]
    fn a_controller_without_slow_start_has_no_such_phase() {
        let (controller, _) = watched(BbrConfig::default());
        assert_eq!(notes(controller.as_ref()), (None, None));
    }
}
