//! Trust in one authority by the hash of its public key, as tokens of our own edge carry it: the peer presents the
//! authority's certificate in its chain, and the chain is then verified as usual with that one root.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// A presented chain is short; more certificates than this are not looked at.
const CHAIN_MAX: usize = 8;

#[derive(Debug)]
pub struct PinnedAuthority {
    pin: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl PinnedAuthority {
    pub fn new(pin: [u8; 32], provider: Arc<CryptoProvider>) -> Self {
        Self { pin, provider }
    }

    /// A root store with the pinned authority, if it is among the presented certificates.
    fn find(&self, presented: &[CertificateDer<'_>]) -> Option<RootCertStore> {
        presented.iter().take(CHAIN_MAX).find_map(|certificate| {
            let mut store = RootCertStore::empty();
            store.add(certificate.clone().into_owned()).ok()?;
            let key = store.roots.first()?.subject_public_key_info.as_ref();
            (spki_hash(key)? == self.pin).then_some(store)
        })
    }
}

/// SHA-256 of a SubjectPublicKeyInfo, given what is inside of its outer SEQUENCE.
fn spki_hash(inner: &[u8]) -> Option<[u8; 32]> {
    let mut der = vec![0x30];
    match inner.len() {
        length @ 0..=0x7f => der.push(length as u8),
        length @ 0x80..=0xff => der.extend_from_slice(&[0x81, length as u8]),
        length @ 0x100..=0xffff => der.extend_from_slice(&[0x82, (length >> 8) as u8, length as u8]),
        _ => return None,
    }
    der.extend_from_slice(inner);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &der);
    digest.as_ref().try_into().ok()
}

impl ServerCertVerifier for PinnedAuthority {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let store = self.find(intermediates).ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), self.provider.clone())
            .build()
            .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 by the same library, of a SubjectPublicKeyInfo written out whole.
    fn expected(der: &[u8]) -> Vec<u8> {
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref().to_vec()
    }

    #[test]
    fn hashes_the_key_info_with_its_outer_sequence() {
        for (length, header) in [
            (0x00, vec![0x30, 0x00]),
            (0x7f, vec![0x30, 0x7f]),
            (0x80, vec![0x30, 0x81, 0x80]),
            (0xff, vec![0x30, 0x81, 0xff]),
            (0x100, vec![0x30, 0x82, 0x01, 0x00]),
            (0xffff, vec![0x30, 0x82, 0xff, 0xff]),
        ] {
            let inner = vec![0xa5; length];
            let whole = [header, inner.clone()].concat();
            assert_eq!(spki_hash(&inner).expect("a hash").to_vec(), expected(&whole), "{length} bytes");
        }
    }

    #[test]
    fn refuses_key_infos_that_no_certificate_has() {
        assert_eq!(spki_hash(&vec![0; 0x1_0000]), None);
    }
}
