//! The settings of an endpoint as JavaScript gives them, and the quinn-proto configuration made from them.
//! The TypeScript side (`settings.ts`) owns the defaults and says how each was chosen; here every value is checked.

use crate::napi::{Env, Fault, Value};
use crate::watched::Watching;
use qp::congestion::ControllerFactory;
use quinn_proto as qp;
use std::ffi::CStr;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub struct Settings {
    pub bind: SocketAddr,
    /// PEM certificate chain and key: present for an endpoint that accepts.
    pub identity: Option<(Vec<u8>, Vec<u8>)>,
    /// PEM roots: present for an endpoint that connects.
    pub roots: Option<Vec<u8>>,
    /// In place of roots: SHA-256 of the public key (SPKI) of the authority that a peer must present.
    pub pin: Option<[u8; 32]>,
    pub alpn: Vec<Vec<u8>>,
    /// Names of TLS groups, best first.
    pub groups: String,
    pub socket_buffer: usize,
    pub limits: Limits,
    pub transport: Arc<qp::TransportConfig>,
}

/// What an accepting endpoint allows.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Streams a peer may hold open: the first allowance, and how far it grows with use.
    pub initial_streams: u64,
    pub max_streams: u64,
    /// Handshakes in progress from which on unverified addresses get a Retry; 0 = always.
    pub retry_threshold: usize,
    pub max_connections: usize,
    pub max_connections_per_address: u32,
    pub max_handshakes_per_address: u32,
}

/// Reads one field after the other from the settings object.
struct Reader {
    env: Env,
    object: Value,
}

impl Reader {
    fn number(&self, name: &CStr, least: f64, most: f64) -> Result<f64, Fault> {
        let value = self.env.to_f64(self.env.get(self.object, name));
        match value {
            Some(value) if value.fract() == 0.0 && (least..=most).contains(&value) => Ok(value),
            _ => Err(Fault::argument(&format!(
                "{} must be a whole number from {least} to {most}",
                name.to_string_lossy()
            ))),
        }
    }

    fn text(&self, name: &CStr) -> Result<String, Fault> {
        let value = self.env.to_string(self.env.get(self.object, name));
        value.ok_or_else(|| Fault::argument(&format!("{} must be a string", name.to_string_lossy())))
    }

    /// Text that may be empty, which means absent.
    fn optional(&self, name: &CStr) -> Result<Option<Vec<u8>>, Fault> {
        let text = self.text(name)?;
        Ok((!text.is_empty()).then(|| text.into_bytes()))
    }
}

const BYTES_MAX: f64 = (1u64 << 40) as f64;

impl Settings {
    pub fn read(env: Env, object: Value) -> Result<Self, Fault> {
        let from = Reader { env, object };
        let bind = from.text(c"bind")?;
        let bind = bind.parse().map_err(|_| Fault::argument(&format!("'{bind}' is not IP:port")))?;
        let identity = from.optional(c"cert")?.zip(from.optional(c"key")?);
        let roots = from.optional(c"roots")?;
        let pin = from.optional(c"pin")?.map(|text| parse_pin(&text)).transpose()?;
        let alpn = from.text(c"alpn")?.split(',').map(|name| name.as_bytes().to_vec()).collect();
        let limits = Limits {
            initial_streams: from.number(c"initialStreams", 1.0, 1e6)? as u64,
            max_streams: from.number(c"maxStreams", 1.0, 1e6)? as u64,
            retry_threshold: from.number(c"retryThreshold", 0.0, 1e9)? as usize,
            max_connections: from.number(c"maxConnections", 1.0, 1e6)? as usize,
            max_connections_per_address: from.number(c"maxConnectionsPerAddress", 1.0, 1e6)? as u32,
            max_handshakes_per_address: from.number(c"maxHandshakesPerAddress", 1.0, 1e6)? as u32,
        };
        Ok(Self {
            bind,
            identity,
            roots,
            pin,
            alpn,
            groups: from.text(c"groups")?,
            socket_buffer: from.number(c"socketBuffer", 0.0, 1e9)? as usize,
            limits,
            transport: Arc::new(transport(&from, limits.initial_streams)?),
        })
    }
}

fn parse_pin(text: &[u8]) -> Result<[u8; 32], Fault> {
    let mut pin = [0; 32];
    let digits: Option<Vec<u8>> =
        text.iter().map(|&byte| char::from(byte).to_digit(16).map(|digit| digit as u8)).collect();
    let digits = digits.filter(|digits| digits.len() == 2 * pin.len());
    let digits = digits.ok_or_else(|| Fault::argument("pin must be 64 hexadecimal digits"))?;
    for (byte, pair) in pin.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(pin)
}

fn transport(from: &Reader, initial_streams: u64) -> Result<qp::TransportConfig, Fault> {
    let varint = |value: f64| qp::VarInt::from_u64(value as u64).map_err(|_| Fault::argument("a value is above 2^62"));
    let millis = |value: f64| Duration::from_millis(value as u64);
    let mut out = qp::TransportConfig::default();
    out.max_concurrent_bidi_streams(varint(initial_streams as f64)?)
        .max_concurrent_uni_streams(qp::VarInt::from_u32(0))
        .receive_window(varint(from.number(c"connectionWindow", 16384.0, BYTES_MAX)?)?)
        .stream_receive_window(varint(from.number(c"streamWindow", 16384.0, BYTES_MAX)?)?)
        .send_window(from.number(c"sendWindow", 16384.0, BYTES_MAX)? as u64)
        .initial_mtu(from.number(c"initialMtu", 1200.0, 65000.0)? as u16);
    let datagrams = from.number(c"datagramBuffer", 4096.0, BYTES_MAX)? as usize;
    out.datagram_receive_buffer_size(Some(datagrams)).datagram_send_buffer_size(datagrams);
    let idle = millis(from.number(c"idleTimeoutMs", 0.0, 1e9)?);
    let idle_timeout = if idle.is_zero() {
        None
    } else {
        Some(idle.try_into().map_err(|_| Fault::argument("idleTimeoutMs is too long"))?)
    };
    out.max_idle_timeout(idle_timeout);
    let keep_alive = millis(from.number(c"keepAliveMs", 0.0, 1e9)?);
    out.keep_alive_interval((!keep_alive.is_zero()).then_some(keep_alive));
    let max_mtu = from.number(c"maxMtu", 0.0, 65000.0)? as u16;
    let discovery = (max_mtu >= 1200).then(|| {
        let mut discovery = qp::MtuDiscoveryConfig::default();
        discovery.upper_bound(max_mtu);
        discovery
    });
    out.mtu_discovery_config(discovery);
    let congestion = from.text(c"congestion")?;
    let factory: Arc<dyn ControllerFactory + Send + Sync> = match congestion.as_str() {
        "cubic" => Arc::new(qp::congestion::CubicConfig::default()),
        "bbr" => Arc::new(qp::congestion::BbrConfig::default()),
        "newreno" => Arc::new(qp::congestion::NewRenoConfig::default()),
        other => return Err(Fault::argument(&format!("congestion '{other}' is not cubic, bbr or newreno"))),
    };
    out.congestion_controller_factory(Arc::new(Watching(factory)));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_pin_of_64_digits_in_either_case() {
        let pin = parse_pin(&b"0fF0".repeat(16)).ok().expect("a pin");
        assert_eq!(pin, [0x0f, 0xf0].repeat(16)[..]);
    }

    #[test]
    fn refuses_other_pins() {
        for text in
            [&b""[..], b"0f", &b"0g".repeat(32), &b"0f".repeat(33), &b"0f".repeat(31), "0é".repeat(32).as_bytes()]
        {
            assert!(parse_pin(text).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }
}
