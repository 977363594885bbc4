//! Servers whose row-level security has a hole that a later minor version closed.

use crate::model::finding::{Finding, Level};
use crate::rules::access::found::found;
use crate::rules::input::Input;
use crate::rules::rule::Rule;

pub const RULE: Rule = Rule {
    id: "rls-unfixed-server",
    summary: "a minor version of PostgreSQL with a known hole in row-level security",
    needs: "a database",
    page: include_str!("rls_unfixed_server.md"),
    find,
};

/// Corrections in row-level security, by major version with the first minor version that has it.
const FIXED: &[(&str, &[(u32, u32)])] = &[
    ("CVE-2023-2455", &[(15, 3), (14, 8), (13, 11), (12, 15), (11, 20)]),
    ("CVE-2024-10976", &[(17, 1), (16, 5), (15, 9), (14, 14), (13, 17), (12, 21)]),
    ("CVE-2025-8713", &[(17, 6), (16, 10), (15, 14), (14, 19), (13, 22)]),
];

fn find(input: &Input<'_>) -> Vec<Finding> {
    let Some(access) = input.access() else { return Vec::new() };
    let has_policies =
        access.tables().any(|table| table.row_security && !table.policies.is_empty());
    let version = access.catalog.server_version.as_deref().unwrap_or_default();
    let Some((major, minor)) = parts(version).filter(|_| has_policies) else { return Vec::new() };
    let is_open = |fixed: &&(&str, &[(u32, u32)])| {
        fixed.1.iter().any(|(of, first)| *of == major && minor < *first)
            // A version that is no longer corrected.
            || fixed.1.iter().all(|(of, _)| major < *of)
    };
    let open: Vec<&str> = FIXED.iter().filter(is_open).map(|(name, _)| *name).collect();
    if open.is_empty() {
        return Vec::new();
    }
    let message =
        format!("PostgreSQL {version} has known holes in row-level security: {}", open.join(", "));
    let mut made = found(RULE.id, Level::Warning, "server", None, Vec::new(), message);
    made.advice = Some("install the last minor version".to_owned());
    vec![made]
}

/// `15.2` and `15.2 (Debian …)`.
fn parts(version: &str) -> Option<(u32, u32)> {
    let number = version.split_whitespace().next()?;
    let (major, minor) = number.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::Workload;

    #[test]
    fn a_version_has_the_holes_that_its_notes_name() {
        let schema = "CREATE TABLE t (a int); ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON t USING (a = 1);";
        let (mut catalog, _) = crate::sql::dump::catalog::catalog(schema);
        let mut holes = |version: &str| {
            catalog.server_version = Some(version.to_owned());
            let workload = Workload::default();
            find(&Input::new(&workload, Some(&catalog)))
                .pop()
                .map(|found| found.message.matches("CVE").count())
        };
        assert_eq!(holes("15.2"), Some(3));
        assert_eq!(holes("15.13 (Debian 15.13-1)"), Some(1));
        assert_eq!(holes("16.10"), None);
        assert_eq!(holes("18.1"), None);
        assert_eq!(holes("10.23"), Some(3));
    }
}
