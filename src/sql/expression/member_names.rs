//! Parameters that name a member of a document: `data ->> $1`.

use crate::model::workload::shape::{Key, Shape};
use crate::sql::lex::lexer::{TokenKind, tokens};

/// Operators whose right side names a member.
const NAMED_BY: [&str; 4] = ["->", "->>", "#>", "#>>"];

/// Numbers of the parameters that name a member, of all expressions that the statement asks.
pub fn member_parameters(shape: &Shape) -> Vec<usize> {
    let mut named = Vec::new();
    for scan in shape.with_alternatives() {
        let keys = scan.filters.iter().map(|filter| &filter.key);
        let keys = keys.chain(scan.lookups.iter().map(|lookup| &lookup.key));
        for key in keys.chain(scan.sort.iter().map(|sort| &sort.key)).chain(&scan.extreme) {
            let Key::Expression { sql, .. } = key else { continue };
            let all: Vec<_> = tokens(sql).collect();
            for pair in all.windows(2) {
                let number = pair[1].text.strip_prefix('$').and_then(|n| n.parse::<usize>().ok());
                let is_name = pair[1].kind == TokenKind::Parameter
                    && NAMED_BY.iter().any(|operator| pair[0].is(operator));
                named.extend(number.filter(|number| is_name && *number > 0));
            }
        }
    }
    named.sort_unstable();
    named.dedup();
    named
}
