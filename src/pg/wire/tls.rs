//! TLS as libpq's settings ask for it, on rustls.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use rustls_platform_verifier::BuilderVerifierExt;

use super::certificate::{Trusted, Verifier};
use crate::pg::config::settings::Settings;
use crate::pg::config::ssl::{Files, SslMode, Versions};
use crate::pg::error::PgError;

pub type Connector = tokio_postgres_rustls::MakeRustlsConnect;

/// How the server's certificate is checked.
enum Check {
    /// Nothing: encryption against eavesdroppers only.
    Nothing,
    /// Against these authorities, with the name or without.
    Against { roots: Vec<CertificateDer<'static>>, checks_name: bool },
    /// Chain and name, against the authorities of this machine.
    System,
}

/// A connector for `mode`, which is not `Disable`.
///
/// # Errors
/// When a certificate file is missing or unreadable, with the file's name.
pub fn connector(mode: SslMode, settings: &Settings) -> Result<Connector, PgError> {
    let files = &settings.ssl_files;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions(settings.ssl_versions))
        .map_err(|error| PgError::settings("cannot set up TLS", error.to_string()))?;
    let verified = |verifier: Verifier| {
        builder.clone().dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    };
    let builder = match check(mode, files, settings.home.as_deref())? {
        Check::Nothing => verified(Verifier { provider, trusted: None }),
        Check::Against { roots, checks_name } => {
            let roots_store = Arc::new(store(&roots)?);
            let chain = WebPkiServerVerifier::builder_with_provider(roots_store, provider.clone())
                .with_crls(revoked(files, settings.home.as_deref())?)
                .build()
                .map_err(|error| {
                    PgError::settings("cannot use the root certificates", error.to_string())
                })?;
            let trusted = Some(Trusted { chain, roots, checks_name });
            verified(Verifier { provider, trusted })
        }
        Check::System => builder.clone().with_platform_verifier().map_err(|error| {
            PgError::settings("cannot read this machine's root certificates", error.to_string())
        })?,
    };
    let mut config = match (&files.cert, &files.key) {
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
    config.enable_sni = settings.sends_server_name;
    if settings.is_ssl_direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(Connector::new(config))
}

fn versions(allowed: Versions) -> Vec<&'static SupportedProtocolVersion> {
    let all = [
        (allowed.allows_1_3, &rustls::version::TLS13),
        (allowed.allows_1_2, &rustls::version::TLS12),
    ];
    all.into_iter().filter(|(is_allowed, _)| *is_allowed).map(|(_, version)| version).collect()
}

fn check(mode: SslMode, files: &Files, home: Option<&Path>) -> Result<Check, PgError> {
    if files.root.as_deref() == Some("system") {
        return match mode {
            SslMode::VerifyFull => Ok(Check::System),
            _ => Err(PgError::settings(
                "cannot use sslrootcert=system",
                "anybody can get a certificate from a public authority",
            )
            .with_help("add sslmode=verify-full, which compares the name of the host as well")),
        };
    }
    let root = own_or_default(files.root.as_deref(), home, "root.crt");
    match (mode, root) {
        // As libpq: a root file turns `require` into `verify-ca`.
        (SslMode::VerifyFull | SslMode::VerifyCa | SslMode::Require, Some(root)) => {
            let roots = certificates(&root)?;
            Ok(Check::Against { roots, checks_name: mode == SslMode::VerifyFull })
        }
        (SslMode::VerifyCa | SslMode::VerifyFull, None) => Err(PgError::settings(
            "cannot verify the server's certificate",
            "no root certificate: sslrootcert is not set and ~/.postgresql/root.crt does not exist",
        )
        .with_help("set sslrootcert=FILE, or sslrootcert=system for this machine's authorities")),
        _ => Ok(Check::Nothing),
    }
}

/// The file that was named, or the one in `~/.postgresql` where there is one.
fn own_or_default(own: Option<&str>, home: Option<&Path>, name: &str) -> Option<PathBuf> {
    match own {
        Some(own) => Some(PathBuf::from(own)),
        None => home.map(|home| home.join(".postgresql").join(name)).filter(|file| file.exists()),
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

fn revoked(
    files: &Files,
    home: Option<&Path>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, PgError> {
    let Some(path) = own_or_default(files.revoked.as_deref(), home, "root.crl") else {
        return Ok(Vec::new());
    };
    let fail = |cause: String| PgError::settings(format!("cannot read {}", path.display()), cause);
    let list: Result<Vec<_>, _> = CertificateRevocationListDer::pem_file_iter(&path)
        .map_err(|error| fail(error.to_string()))?
        .collect();
    match list {
        Ok(list) if list.is_empty() => Err(fail("it holds no revocation list".to_owned())),
        Ok(list) => Ok(list),
        Err(error) => Err(fail(error.to_string())),
    }
}

fn store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, PgError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| {
            PgError::settings("cannot use the root certificates", error.to_string())
        })?;
    }
    Ok(store)
}
