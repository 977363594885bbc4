//! Checks the server's certificate as libpq does, where webpki is stricter.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Ia5StringRef, PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;

/// Checks the server's certificate, or none of it.
#[derive(Debug)]
pub(in crate::pg) struct Verifier {
    pub provider: Arc<CryptoProvider>,
    /// `None` for `require` without a root certificate: any certificate will do.
    pub trusted: Option<Trusted>,
}

/// What `verify-ca` and `verify-full` check against.
#[derive(Debug)]
pub(in crate::pg) struct Trusted {
    pub chain: Arc<WebPkiServerVerifier>,
    /// The root certificates themselves. A server may show one of them: servers with a certificate that
    /// they have signed themselves are set up so.
    pub roots: Vec<CertificateDer<'static>>,
    /// The name of the host has to be that of the certificate.
    pub checks_name: bool,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        host: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trusted) = &self.trusted else { return Ok(ServerCertVerified::assertion()) };
        if trusted.roots.iter().any(|root| root == end_entity) {
            is_in_time(end_entity, now)?;
        } else {
            // The verifier looks at the name last, after the chain has passed.
            let chain = &trusted.chain;
            match chain.verify_server_cert(end_entity, intermediates, host, ocsp_response, now) {
                Err(Error::InvalidCertificate(
                    CertificateError::NotValidForName
                    | CertificateError::NotValidForNameContext { .. },
                )) => {}
                result => return result,
            }
        }
        if trusted.checks_name {
            is_named(end_entity, host)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn parsed(certificate: &CertificateDer<'_>) -> Result<Certificate, Error> {
    Certificate::from_der(certificate.as_ref())
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn is_in_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let validity = parsed(certificate)?.tbs_certificate.validity;
    let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
    if now.as_secs() < seconds(validity.not_before) {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now.as_secs() > seconds(validity.not_after) {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(())
}

/// The certificate is for this host: by its alternative names or, where it has none, by its common name.
fn is_named(certificate: &CertificateDer<'_>, host: &ServerName<'_>) -> Result<(), Error> {
    let end_entity = rustls::server::ParsedCertificate::try_from(certificate)?;
    let Err(error) = rustls::client::verify_server_name(&end_entity, host) else { return Ok(()) };
    let certificate = parsed(certificate)?;
    const ALTERNATIVE_NAMES: &str = "2.5.29.17";
    let has_alternatives = certificate
        .tbs_certificate
        .extensions
        .iter()
        .flatten()
        .any(|extension| extension.extn_id.to_string() == ALTERNATIVE_NAMES);
    let is_common_name =
        common_names(&certificate).iter().any(|name| matches_host(name, &host.to_str()));
    if has_alternatives || !is_common_name { Err(error) } else { Ok(()) }
}

fn common_names(certificate: &Certificate) -> Vec<String> {
    let parts = certificate.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
    parts
        .filter(|attribute| attribute.oid == COMMON_NAME)
        .filter_map(|attribute| {
            let value = &attribute.value;
            let utf8 = value.decode_as::<Utf8StringRef<'_>>().map(|text| text.to_string());
            utf8.or_else(|_| value.decode_as::<PrintableStringRef<'_>>().map(|t| t.to_string()))
                .or_else(|_| value.decode_as::<Ia5StringRef<'_>>().map(|text| text.to_string()))
                .ok()
        })
        .collect()
}

/// As libpq: `*.` stands for one label.
fn matches_host(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) = name.strip_prefix("*.") else { return false };
    host.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain))
}

#[cfg(test)]
mod tests {
    use super::matches_host;

    #[test]
    fn a_star_stands_for_one_label() {
        assert!(matches_host("DB.example.com", "db.example.com"));
        assert!(matches_host("*.example.com", "db.example.com"));
        assert!(!matches_host("*.example.com", "a.db.example.com"));
        assert!(!matches_host("*.example.com", "example.com"));
    }
}
