//! `sslmode` as libpq understands it, on rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
};
use rustls_platform_verifier::BuilderVerifierExt;

use super::error::PgError;

pub type Connector = tokio_postgres_rustls::MakeRustlsConnect;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    pub fn parse(word: &str) -> Option<SslMode> {
        Some(match word {
            "disable" => SslMode::Disable,
            "allow" => SslMode::Allow,
            "prefer" => SslMode::Prefer,
            "require" => SslMode::Require,
            "verify-ca" => SslMode::VerifyCa,
            "verify-full" => SslMode::VerifyFull,
            _ => return None,
        })
    }
}

/// Files of the certificates, `None` where not given.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Certificate authorities, or `system`.
    pub root: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
}

/// How the server's certificate is checked.
enum Check {
    /// Nothing: encryption against eavesdroppers only.
    Nothing,
    Chain(RootCertStore),
    ChainAndName(RootCertStore),
    /// Chain and name, against the authorities of this machine.
    System,
}

/// A connector for `mode`, which is not `Disable`.
///
/// # Errors
/// When a certificate file is missing or unreadable, with the file's name.
pub fn connector(mode: SslMode, files: &Files, home: Option<&Path>) -> Result<Connector, PgError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| PgError::settings("cannot set up TLS", error.to_string()))?;
    let builder = match check(mode, files, home)? {
        Check::Nothing => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider.clone()))),
        Check::Chain(roots) => {
            let inner =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider.clone())
                    .build()
                    .map_err(|error| {
                        PgError::settings("cannot use the root certificates", error.to_string())
                    })?;
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyName(inner)))
        }
        Check::ChainAndName(roots) => builder.with_root_certificates(roots),
        Check::System => builder.with_platform_verifier().map_err(|error| {
            PgError::settings("cannot read this machine's root certificates", error.to_string())
        })?,
    };
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates(Path::new(cert))?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
                PgError::settings(format!("cannot read sslkey {key}"), error.to_string())
            })?;
            builder.with_client_auth_cert(chain, key).map_err(|error| {
                PgError::settings(format!("cannot use sslcert {cert}"), error.to_string())
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Connector::new(config))
}

fn check(mode: SslMode, files: &Files, home: Option<&Path>) -> Result<Check, PgError> {
    let default_root: Option<PathBuf> = home.map(|home| home.join(".postgresql/root.crt"));
    if files.root.as_deref() == Some("system") {
        return Ok(Check::System);
    }
    let root = files
        .root
        .as_ref()
        .map(PathBuf::from)
        .or(default_root)
        .filter(|path| path.exists() || files.root.is_some());
    match (mode, root) {
        (SslMode::VerifyFull, Some(root)) => Ok(Check::ChainAndName(store(&root)?)),
        // As libpq: a root file turns `require` into `verify-ca`.
        (SslMode::VerifyCa | SslMode::Require, Some(root)) => Ok(Check::Chain(store(&root)?)),
        (SslMode::VerifyCa | SslMode::VerifyFull, None) => Err(PgError::settings(
            "cannot verify the server's certificate",
            "no root certificate: sslrootcert is not set and ~/.postgresql/root.crt does not exist",
        )
        .with_help("set sslrootcert=FILE, or sslrootcert=system for this machine's authorities")),
        _ => Ok(Check::Nothing),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, PgError> {
    let fail = |cause: String| {
        PgError::settings(format!("cannot read certificates in {}", path.display()), cause)
    };
    let list: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(path).map_err(|error| fail(error.to_string()))?.collect();
    list.map_err(|error| fail(error.to_string()))
}

fn store(path: &Path) -> Result<RootCertStore, PgError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| {
            PgError::settings(format!("cannot use {}", path.display()), error.to_string())
        })?;
    }
    Ok(store)
}

/// `require`: whoever answers may answer.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
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
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// `verify-ca`: the chain must hold, the name may be another.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        // The verifier looks at the name last, after the chain has passed.
        match self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
