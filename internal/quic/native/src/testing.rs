//! What unit tests share: a connection that nobody answers.

use quinn_proto as qp;
use rustls::crypto::aws_lc_rs;
use std::sync::Arc;
use std::time::Instant;

/// A client connection whose handshake has begun, with the endpoint that made it.
pub fn connecting() -> (qp::Endpoint, qp::Connection) {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"test".to_vec()];
    let crypto = qp::crypto::rustls::QuicClientConfig::try_from(tls).expect("cipher suites of QUIC");
    let mut endpoint = qp::Endpoint::new(Arc::new(qp::EndpointConfig::default()), None, true, None);
    let remote = "127.0.0.1:9".parse().expect("an address");
    let config = qp::ClientConfig::new(Arc::new(crypto));
    let (_, connection) = endpoint.connect(Instant::now(), config, remote, "edge.test").expect("a connection");
    (endpoint, connection)
}
