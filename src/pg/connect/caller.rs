//! Who executes a statement of the workload, and where its names are looked up.

use std::fmt;
use std::sync::Arc;

use crate::model::workload::literal::Literal;
use crate::sql::lex::identifier::{quote, quote_literal};

/// Statements of our own find functions, operators and types of the system alone.
pub(super) const OWN_SEARCH_PATH: &str = "pg_catalog, pg_temp";

/// A role and a search path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `None` for the role that is connected.
    role: Option<Arc<str>>,
    /// As the setting is written.
    search_path: Arc<str>,
}

impl Caller {
    /// `search_path` as a server writes the setting. The system's schema goes first in any case: what the
    /// driver asks the server about types must not find functions of somebody else.
    pub fn new(role: Option<&str>, search_path: &str) -> Caller {
        let mut path = vec!["pg_catalog".to_owned()];
        path.extend(schemas(search_path).into_iter().filter(|schema| schema != "pg_catalog"));
        let path: Vec<String> = path.iter().map(|schema| quote(schema)).collect();
        Caller { role: role.map(Into::into), search_path: path.join(", ").into() }
    }

    /// The tool itself.
    pub fn own() -> Caller {
        Caller { role: None, search_path: OWN_SEARCH_PATH.into() }
    }

    /// The same search path, as the role that is connected.
    pub fn without_role(&self) -> Caller {
        Caller { role: None, search_path: self.search_path.clone() }
    }

    /// The same search path, as another role.
    pub fn with_role(&self, role: &str) -> Caller {
        Caller { role: Some(role.into()), search_path: self.search_path.clone() }
    }

    pub fn role(&self) -> Option<&str> {
        self.role.as_deref()
    }

    /// The schemas that are searched; `user` is the connected role.
    pub fn schemas(&self, user: &str) -> Vec<String> {
        let own = |schema: String| match schema.as_str() {
            "$user" => self.role.as_deref().unwrap_or(user).to_owned(),
            _ => schema,
        };
        schemas(&self.search_path).into_iter().map(own).collect()
    }

    /// The statements that make the open transaction one of this caller.
    pub(super) fn settings(&self) -> String {
        let path = quote_literal(&Literal::text(&*self.search_path));
        let path = format!("SELECT pg_catalog.set_config('search_path', {path}, true)");
        match &self.role {
            Some(role) => format!("{path}; SET LOCAL ROLE {}", always_quoted(role)),
            None => path,
        }
    }
}

/// `none` without quotes is no role.
fn always_quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.role.as_deref().unwrap_or("the caller of a statement"))
    }
}

/// The names in a list of identifiers, as `SplitIdentifierString` in PostgreSQL's `varlena.c` reads it.
pub fn schemas(search_path: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut chars = search_path.chars().peekable();
    while chars.peek().is_some() {
        let mut name = String::new();
        while let Some(c) = chars.next_if(|c| *c != ',') {
            if c.is_whitespace() {
                continue;
            }
            if c != '"' {
                name.extend(c.to_lowercase());
                continue;
            }
            while let Some(c) = chars.next() {
                match c {
                    '"' if chars.next_if_eq(&'"').is_none() => break,
                    c => name.push(c),
                }
            }
        }
        chars.next();
        if !name.is_empty() {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schemas_of_a_path_are_read_as_the_server_reads_them() {
        assert_eq!(schemas("\"$user\", public"), ["$user", "public"]);
        assert_eq!(
            schemas("Shop,\"Odd, \"\"Name\"\"\",pg_catalog"),
            ["shop", "Odd, \"Name\"", "pg_catalog"]
        );
        assert!(schemas("").is_empty());
    }

    #[test]
    fn a_caller_finds_the_system_first_and_cannot_leave_its_quotes() {
        let caller =
            Caller::new(Some("a\"; DROP TABLE x; --"), "mine, pg_catalog, 'x'; DROP TABLE y");
        assert_eq!(
            caller.settings(),
            "SELECT pg_catalog.set_config('search_path', 'pg_catalog, mine, \"''x'';droptabley\"', true); \
             SET LOCAL ROLE \"a\"\"; DROP TABLE x; --\""
        );
    }
}
