//! Credentials in what was logged. The finding says what and where, never the value.

use serde_json::json;

use super::credentials::{Secret, is_hashed, recognize};
use crate::model::finding::{Finding, Level, Subject};
use crate::model::workload::Query;
use crate::model::workload::literal::Literal;
use crate::model::workload::shape::{Operator, Shape};
use crate::rules::input::Input;
use crate::rules::rule::Rule;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

pub const RULE: Rule = Rule {
    id: "secret-in-log",
    summary: "a password, key or token in the text or the parameters of a statement",
    needs: "a log",
    page: include_str!("secret_in_log.md"),
    find,
};

/// The place of a credential.
struct Place {
    what: &'static str,
    whereabouts: String,
    column: Option<String>,
    level: Level,
    /// Executions among those looked at.
    seen: u64,
}

fn find(input: &Input<'_>) -> Vec<Finding> {
    let queries = input.workload.queries.iter();
    queries
        .flat_map(|query| {
            let shape = query.shape.as_ref();
            let places = places(query, shape).into_iter();
            places.map(move |place| finding(input, query, shape, place))
        })
        .collect()
}

/// One for each kind of credential.
fn places(query: &Query, shape: Option<&Shape>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let mut add = |place: Place| match places.iter_mut().find(|known| known.what == place.what) {
        Some(known) => known.seen += place.seen,
        None => places.push(place),
    };
    let named = shape.map(named_slots).unwrap_or_default();
    let given = given_slots(&query.normalized);
    for (at, values) in query.slots.iter().enumerate() {
        let slot = at as u16 + 1;
        let column = named.iter().find(|(_, named)| *named == slot).map(|(column, _)| column);
        let whereabouts = match column {
            Some(column) => format!("as the value of column {column} of"),
            None => format!("as ${slot} of"),
        };
        for kept in values.kept() {
            let Some(value) = kept.value.expose() else { continue };
            let by_name = column.and_then(|column| Secret::of_column(column));
            let found = if let Some(what) = recognize(value) {
                Some((what, Level::Error))
            } else if let Some((_, what)) = given.iter().find(|(given, _)| *given == slot) {
                (!is_hashed(value) && !value.is_empty()).then_some((*what, Level::Error))
            } else {
                by_name.filter(|secret| secret.is_plain(value)).map(|s| (s.word(), Level::Warning))
            };
            if let Some((what, level)) = found {
                let (whereabouts, column) = (whereabouts.clone(), column.cloned());
                add(Place { what, whereabouts, column, level, seen: kept.count });
            }
        }
    }
    // Comments are in no literal position.
    for sample in &query.samples {
        let known = |value: &Literal| value.expose().is_some_and(|v| recognize(v).is_some());
        let in_values = query.slots.iter().flat_map(|v| v.kept()).any(|kept| known(&kept.value));
        if !in_values && let Some(what) = recognize(&sample.text) {
            let whereabouts = "in a comment of".to_owned();
            add(Place { what, whereabouts, column: None, level: Level::Error, seen: 1 });
        }
    }
    places
}

/// Columns and the literal positions that are compared with them or written to them.
fn named_slots(shape: &Shape) -> Vec<(String, u16)> {
    let mut named = Vec::new();
    for scan in &shape.scans {
        named.extend(scan.assigned.iter().cloned());
        for filter in &scan.filters {
            if let (Some(column), Operator::Equal | Operator::In) =
                (filter.key.column(), filter.operator)
            {
                named.extend(filter.slots.iter().map(|slot| (column.to_owned(), *slot)));
            }
        }
    }
    named
}

/// Literal positions that can hold nothing but a credential: `PASSWORD $1`, `crypt($1, …)`,
/// `pgp_sym_decrypt(data, $1)`.
fn given_slots(normalized: &str) -> Vec<(u16, &'static str)> {
    let list: Vec<Token<'_>> = tokens(normalized).collect();
    let slot = |token: Option<&Token<'_>>| {
        let text = token.filter(|token| token.kind == TokenKind::Parameter)?.text;
        text[1..].parse::<u16>().ok()
    };
    let mut given = Vec::new();
    for (at, token) in list.iter().enumerate() {
        let opens = list.get(at + 1).is_some_and(|next| next.is("("));
        if token.is_word("password") && !opens {
            given
                .extend(slot(list.get(at + 1)).map(|slot| (slot, "a password of a database role")));
        } else if token.is_word("crypt") && opens {
            given.extend(slot(list.get(at + 2)).map(|slot| (slot, "a password")));
        } else if ["pgp_sym_encrypt", "pgp_sym_decrypt", "hmac", "encrypt", "decrypt"]
            .iter()
            .any(|name| token.is_word(name))
            && opens
        {
            // The second argument, as far as it is a literal.
            let comma = list[at..].iter().position(|token| token.is(","));
            let key = comma.and_then(|comma| slot(list.get(at + comma + 1)));
            given.extend(key.map(|slot| (slot, "an encryption key")));
        }
    }
    given
}

fn finding(input: &Input<'_>, query: &Query, shape: Option<&Shape>, place: Place) -> Finding {
    let scans = shape.map(|shape| shape.scans.as_slice()).unwrap_or_default();
    let table = scans.first().map(|scan| scan.table.clone());
    let on = table.as_ref().map(|table| format!(" on {table}")).unwrap_or_default();
    let kind: String = place.what.trim_start_matches("an ").trim_start_matches("a ").into();
    Finding {
        id: format!("{}:{}:{}", RULE.id, query.fingerprint, kind.replace(' ', "-")),
        rule: RULE.id,
        level: place.level,
        impact_pct: input.workload.share_pct(query.total_us),
        message: format!("{} is in the log: {} a statement{on}", place.what, place.whereabouts),
        subject: Subject {
            table,
            columns: place.column.into_iter().collect(),
            query: Some(query.fingerprint),
            ..Subject::default()
        },
        evidence: vec![json!({
            "kind": "secret",
            "provenance": "observed",
            "what": kind,
            "query": query.normalized,
            "calls": query.calls,
            "executions_with_it": place.seen,
        })],
        advice: Some(
            "change the credential: whoever reads the log has it; then keep values out of the log (log_parameter_max_length = 0, statements with parameters)"
                .to_owned(),
        ),
    }
}
