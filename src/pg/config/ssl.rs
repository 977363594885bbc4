//! The settings of TLS, by libpq's names.

use crate::pg::error::PgError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Files of the certificates, `None` where not given.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// Certificate authorities, or `system`.
    pub root: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    /// Certificates that were revoked.
    pub revoked: Option<String>,
}

/// The versions of TLS that may be used; older ones than 1.2 are never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    pub allows_1_2: bool,
    pub allows_1_3: bool,
}

impl Default for Versions {
    fn default() -> Self {
        Versions { allows_1_2: true, allows_1_3: true }
    }
}

impl Versions {
    /// From `ssl_min_protocol_version` and `ssl_max_protocol_version`.
    ///
    /// # Errors
    /// When a version is unknown, or none is left.
    pub fn between(least: Option<&str>, most: Option<&str>) -> Result<Versions, PgError> {
        const KNOWN: [&str; 4] = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
        let place = |key: &str, name: &str| {
            KNOWN.iter().position(|known| known.eq_ignore_ascii_case(name)).ok_or_else(|| {
                PgError::settings(format!("cannot read {key}"), "the value is unknown")
                    .with_help(format!("one of {}", KNOWN.join(", ")))
            })
        };
        let least = least.map_or(Ok(0), |name| place("ssl_min_protocol_version", name))?;
        let most = most.map_or(Ok(3), |name| place("ssl_max_protocol_version", name))?;
        let is_allowed = |version: usize| (least..=most).contains(&version);
        let versions = Versions { allows_1_2: is_allowed(2), allows_1_3: is_allowed(3) };
        match versions.allows_1_2 || versions.allows_1_3 {
            true => Ok(versions),
            false => Err(PgError::settings(
                "cannot use these versions of TLS",
                "only TLSv1.2 and TLSv1.3 are implemented, and neither is allowed",
            )),
        }
    }
}
