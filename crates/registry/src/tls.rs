//! TLS settings of a host as rustls takes them.

use crate::hosts::{Pair, Tls};
use model::{Error, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;

/// The settings of a connection. Reads the system's certificates unless nothing is verified.
///
/// # Errors
/// `InvalidArgument` for a key that cannot be used.
pub fn config(tls: &Tls) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let failed = |e: rustls::Error| Error::invalid(format!("TLS settings: {e}"));
    let versions = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let verified = if tls.skip_verify == Some(true) {
        versions.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider.clone())))
    } else {
        let system = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(tls)), provider.clone());
        let system = system.build().map_err(|e| Error::invalid(format!("TLS settings: {e}")))?;
        versions
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Known { system, named: tls.authorities.clone() }))
    };
    if tls.clients.is_empty() {
        return Ok(verified.with_no_client_auth());
    }
    let keys =
        tls.clients.iter().map(|pair| certified(pair, &provider).map_err(failed)).collect::<Result<_>>()?;
    Ok(verified.with_client_cert_resolver(Arc::new(Keys(keys))))
}

fn roots(tls: &Tls) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    roots.add_parsable_certificates(tls.authorities.iter().cloned());
    roots
}

fn certified(pair: &Pair, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, rustls::Error> {
    let key = provider.key_provider.load_private_key(pair.key.clone_key())?;
    Ok(Arc::new(CertifiedKey::new(pair.chain.clone(), key)))
}

/// Our certificates: the first whose key can sign as the server wants.
#[derive(Debug)]
struct Keys(Vec<Arc<CertifiedKey>>);

impl ResolvesClientCert for Keys {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.iter().find(|key| key.key.choose_scheme(schemes).is_some()).cloned()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes what the system's authorities and the named ones vouch for, and a named certificate itself: a registry
/// with a certificate that it signed itself is named by that certificate.
#[derive(Debug)]
struct Known {
    system: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        above: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        stapled: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let error = match self.system.verify_server_cert(certificate, above, name, stapled, now) {
            Err(error) if self.named.contains(certificate) => error,
            other => return other,
        };
        // Its time is checked before this, its name is not.
        if !error.to_string().contains("CaUsedAsEndEntity") {
            return Err(error);
        }
        verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.system.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.system.supported_verify_schemes()
    }
}

/// `skip_verify`: believes any certificate; whoever shows it must still have its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
