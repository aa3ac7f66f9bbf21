//! TLS 1.3 for QUIC: rustls on aws-lc. `settings.ts` chooses the groups. No session tickets, no 0-RTT, no client
//! certificates: the protocol above uses none (docs/protocol/edge-protocol.md §5).

use crate::config::Settings;
use crate::napi::Fault;
use crate::pin::PinnedAuthority;
use quinn_proto as qp;
use rustls::SupportedCipherSuite;
use rustls::crypto::aws_lc_rs::cipher_suite::{
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// All of TLS 1.3 that QUIC uses, the cheapest first: every packet pays for the longer key of AES-256, and none gains.
const CIPHER_SUITES: [SupportedCipherSuite; 3] =
    [TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256];

fn fault(what: &str, error: impl std::fmt::Display) -> Fault {
    Fault::new(c"ERR_TLS", format_args!("{what}: {error}"))
}

fn provider(groups: &str) -> Result<Arc<CryptoProvider>, Fault> {
    use aws_lc_rs::kx_group::{SECP256R1, X25519, X25519MLKEM768};
    let known = |name: &str| match name {
        "X25519MLKEM768" => Ok(X25519MLKEM768),
        "P-256" => Ok(SECP256R1),
        "X25519" => Ok(X25519),
        _ => Err(Fault::argument(&format!("'{name}' is not X25519MLKEM768, P-256 or X25519"))),
    };
    let kx_groups = groups.split(',').map(known).collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(CryptoProvider { kx_groups, cipher_suites: CIPHER_SUITES.to_vec(), ..aws_lc_rs::default_provider() }))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| fault("The PEM certificates cannot be read", error))
}

/// What a server's configuration is made of beside its certificate, which may be renewed.
pub struct ServerTerms {
    alpn: Vec<Vec<u8>>,
    groups: String,
    transport: Arc<qp::TransportConfig>,
}

impl ServerTerms {
    pub fn of(settings: &Settings) -> Self {
        Self { alpn: settings.alpn.clone(), groups: settings.groups.clone(), transport: settings.transport.clone() }
    }
}

/// The server side with a PEM chain and key.
pub fn server(terms: &ServerTerms, chain: &[u8], key: &[u8]) -> Result<Arc<qp::ServerConfig>, Fault> {
    let chain = certificates(chain)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| fault("The PEM key cannot be read", error))?;
    let mut tls = rustls::ServerConfig::builder_with_provider(provider(&terms.groups)?)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault("TLS 1.3 cannot be set up", error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| fault("The certificate cannot be used", error))?;
    tls.alpn_protocols.clone_from(&terms.alpn);
    tls.send_tls13_tickets = 0;
    let crypto = qp::crypto::rustls::QuicServerConfig::try_from(tls)
        .map_err(|error| fault("The cipher suites do not fit QUIC", error))?;
    let mut config = qp::ServerConfig::with_crypto(Arc::new(crypto));
    config.transport_config(terms.transport.clone());
    Ok(Arc::new(config))
}

/// The client side, if the settings bring roots or a pin.
pub fn client(settings: &Settings) -> Result<Option<qp::ClientConfig>, Fault> {
    let provider = provider(&settings.groups)?;
    let builder = rustls::ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault("TLS 1.3 cannot be set up", error))?;
    let builder = match (&settings.roots, settings.pin) {
        (_, Some(pin)) => {
            let verifier = Arc::new(PinnedAuthority::new(pin, provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        }
        (Some(pem), None) => builder.with_root_certificates(roots(pem)?),
        (None, None) => return Ok(None),
    };
    let mut tls = builder.with_no_client_auth();
    tls.alpn_protocols.clone_from(&settings.alpn);
    tls.resumption = rustls::client::Resumption::disabled();
    let crypto = qp::crypto::rustls::QuicClientConfig::try_from(tls)
        .map_err(|error| fault("The cipher suites do not fit QUIC", error))?;
    let mut config = qp::ClientConfig::new(Arc::new(crypto));
    config.transport_config(settings.transport.clone());
    Ok(Some(config))
}

/// A system store may hold certificates that rustls does not take; they are skipped, but one must be usable.
fn roots(pem: &[u8]) -> Result<rustls::RootCertStore, Fault> {
    let mut roots = rustls::RootCertStore::empty();
    let (usable, skipped) = roots.add_parsable_certificates(certificates(pem)?);
    if usable == 0 {
        return Err(fault("No root certificate can be used", format_args!("{skipped} were not understood")));
    }
    Ok(roots)
}
