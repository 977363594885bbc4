//! Whether two spellings of an expression mean the same: the server adds casts and parentheses.

use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// The two mean the same as far as spelling goes: case, blanks, parentheses, quotes around plain names,
/// casts of constants and to types of text, `IN (…)` for `= ANY (ARRAY[…])`, and the order of such a list.
pub fn is_same(a: &str, b: &str) -> bool {
    a == b || bare(a) == bare(b)
}

/// The same, where `normalized` has `$n` for constants that are not known: each may be the one that stands
/// in `server`.
pub fn may_be(server: &str, normalized: &str) -> bool {
    let (server, normalized) = (bare(server), bare(normalized));
    let fits = |(own, other): (&String, &String)| {
        own == other || other.starts_with('$') && is_constant(own)
    };
    server.len() == normalized.len() && server.iter().zip(&normalized).all(fits)
}

/// The words of an expression without what spelling may add: equal where [`is_same`].
pub fn bare(expression: &str) -> Vec<String> {
    let all: Vec<Token<'_>> = tokens(expression).collect();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while at < all.len() {
        let token = &all[at];
        if token.is("::") {
            at += 1;
            let (cast, after) = type_name(&all, at);
            if !is_text(&cast) && !ends_with_constant(&all[..at - 1]) {
                words.push(format!("::{cast}"));
            }
            at = after;
            continue;
        }
        if !["(", ")", "[", "]", ","].iter().any(|sign| token.is(sign)) {
            words.push(match token.kind {
                TokenKind::String => token.text.to_owned(),
                _ => token.text.trim_matches('"').to_lowercase(),
            });
        }
        at += 1;
    }
    let mut joined: Vec<String> = Vec::new();
    for word in words {
        match word.as_str() {
            // `= ANY (ARRAY[…])` is `IN (…)`.
            "any" if joined.last().is_some_and(|last| last == "=") => {
                joined.pop();
                joined.push("in".to_owned());
            }
            // `<> ALL (ARRAY[…])` is `NOT IN (…)`.
            "all" if joined.last().is_some_and(|last| last == "<>") => {
                joined.pop();
                joined.extend(["not".to_owned(), "in".to_owned()]);
            }
            "array" if joined.last().is_some_and(|last| last == "in") => {}
            _ => joined.push(word),
        }
    }
    // A list means the same in any order.
    for at in 0..joined.len() {
        if joined[at] == "in" {
            let length = joined[at + 1..].iter().take_while(|word| is_constant(word)).count();
            joined[at + 1..][..length].sort();
        }
    }
    joined
}

fn is_constant(word: &str) -> bool {
    word.starts_with(|c: char| c == '\'' || c.is_ascii_digit())
}

/// These tokens end with a constant, which may have parentheses around it.
fn ends_with_constant(before: &[Token<'_>]) -> bool {
    let inner = match before {
        [.., open, inner, close] if open.is("(") && close.is(")") => Some(inner),
        [.., last] => Some(last),
        [] => None,
    };
    inner.is_some_and(|token| matches!(token.kind, TokenKind::String | TokenKind::Number))
}

/// The type behind `::`, lower case, and the place after it.
fn type_name(all: &[Token<'_>], mut at: usize) -> (String, usize) {
    let mut words = Vec::new();
    while let Some(token) = all.get(at) {
        let more = match words.last().map(String::as_str) {
            None => true,
            Some("character" | "bit") => token.is_word("varying"),
            Some("double") => token.is_word("precision"),
            Some("timestamp" | "time") => token.is_word("with") || token.is_word("without"),
            Some("with" | "without") => token.is_word("time"),
            _ => false,
        } || (words.last().is_some_and(|last| last == "time")
            && words.len() > 1
            && token.is_word("zone"));
        if !more {
            break;
        }
        let mut word = token.text.to_lowercase();
        at += 1;
        // It may have its schema before it.
        while all.get(at).is_some_and(|token| token.is("."))
            && let Some(name) = all.get(at + 1)
        {
            word = format!("{word}.{}", name.text.to_lowercase());
            at += 2;
        }
        words.push(word);
    }
    // A length or precision, and the mark of an array.
    while all.get(at).is_some_and(|token| token.is("["))
        && all.get(at + 1).is_some_and(|t| t.is("]"))
    {
        at += 2;
    }
    let name = words.join(" ");
    let full = match name.as_str() {
        "int" | "int4" => "integer",
        "int8" => "bigint",
        "int2" => "smallint",
        "bool" => "boolean",
        "float8" | "float" => "double precision",
        "float4" => "real",
        "decimal" => "numeric",
        "timestamptz" => "timestamp with time zone",
        "timestamp" => "timestamp without time zone",
        "timetz" => "time with time zone",
        "time" => "time without time zone",
        other => other,
    };
    (full.to_owned(), at)
}

fn is_text(name: &str) -> bool {
    matches!(name, "text" | "varchar" | "character varying" | "bpchar" | "character")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_may_be_any_constant_and_nothing_else() {
        assert!(may_be("(meta ->> 'ext'::text)", "meta ->> $1"));
        assert!(may_be("COALESCE(price, (0)::numeric)", "coalesce(price, $2)"));
        assert!(!may_be("(meta ->> name)", "meta ->> $1"));
        assert!(!may_be("(meta ->> 'ext'::text)", "attrs ->> $1"));
    }

    #[test]
    fn the_servers_spelling_is_ours() {
        for (server, ours) in [
            ("lower((email)::text)", "lower(email)"),
            ("(((payload ->> 'id'::text))::integer)", "(payload ->> 'id')::int"),
            ("((raw)::timestamp with time zone)", "raw::timestamptz"),
            ("(status = 'open'::text)", "status = 'open'"),
            (
                "((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))",
                "status IN ('a', 'b')",
            ),
            ("(status = ANY (ARRAY['paid'::text, 'Due'::text]))", "status IN ('paid', 'Due')"),
            ("(status <> ALL (ARRAY['b'::state, 'a'::state]))", "status NOT IN ('a', 'b')"),
            ("(rarity = 'epic'::game.rarity)", "rarity = 'epic'"),
            (
                "(rarity = ANY (ARRAY['a'::\"Game\".\"Rarity\", 'b'::\"Game\".\"Rarity\"]))",
                "rarity IN ('a', 'b')",
            ),
            ("((kind)::game.rarity IS NULL)", "kind::game.rarity IS NULL"),
            ("status IN ('b', 'a', 'c')", "status IN ('a', 'c', 'b')"),
            ("(deleted_at IS NULL)", "deleted_at is null"),
            ("((attrs ->> 'brand'::text))", "attrs ->> 'brand'"),
            ("(at)::date", "at::DATE"),
            ("COALESCE(price, (0)::numeric)", "coalesce(price, 0)"),
            ("to_tsvector('english'::regconfig, note)", "to_tsvector('english', note)"),
            ("(\"ownerId\" IS NOT NULL)", "\"ownerId\" IS NOT NULL"),
        ] {
            assert!(is_same(server, ours), "{server}: {:?} {:?}", bare(server), bare(ours));
        }
        for (one, other) in [
            ("upper(email)", "lower(email)"),
            ("status = 'Open'", "status = 'open'"),
            ("(at)::date", "at"),
            ("round(price, 2)::integer", "round(price, 2)"),
            ("substring(phone, 1, 2)", "substring(phone, 2, 1)"),
            ("at::timestamp without time zone", "at::timestamp with time zone"),
            ("status IN ('a', 'b')", "status IN ('a', 'c')"),
            ("kind::game.rarity", "kind::shop.rarity"),
        ] {
            assert!(!is_same(one, other), "{one} {other}");
        }
    }
}
