//! Writes SQL of the server as it is written where its names are looked up.

use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// The text without the names of schemas that are searched anyway: `public.lower_name(a)` is `lower_name(a)`, and
/// `a OPERATOR(public.%) b` is `a % b`.
pub fn visible(sql: &str, searched: &[String]) -> String {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let is_name =
        |token: &Token<'_>| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent);
    let is_searched = |at: usize| {
        let is_first = at == 0 || !all[at - 1].is(".");
        is_first && is_name(&all[at]) && searched.contains(&unquote(all[at].text))
    };
    let is_qualifier = |at: usize| {
        is_searched(at)
            && all.get(at + 1).is_some_and(|dot| dot.is("."))
            && all.get(at + 2).is_some_and(is_name)
    };
    let operator_at = |at: usize| {
        let rest = all.get(at..at + 6)?;
        let is_one = rest[0].is_word("operator")
            && rest[1].is("(")
            && is_searched(at + 2)
            && rest[3].is(".")
            && rest[4].kind == TokenKind::Operator
            && rest[5].is(")");
        is_one.then_some(rest)
    };
    let (mut out, mut written, mut at) = (String::new(), 0, 0);
    while at < all.len() {
        if let Some(rest) = operator_at(at) {
            out.push_str(&sql[written..rest[0].start]);
            out.push_str(rest[4].text);
            written = rest[5].start + 1;
            at += 6;
        } else if is_qualifier(at) {
            out.push_str(&sql[written..all[at].start]);
            written = all[at + 2].start;
            at += 2;
        } else {
            at += 1;
        }
    }
    out + &sql[written..]
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn schemas_that_are_searched_are_not_named() {
        let searched = ["public".to_owned(), "My Schema".to_owned()];
        for (sql, seen) in [
            ("public.fold(name)", "fold(name)"),
            ("'a'::public.state", "'a'::state"),
            ("(a OPERATOR(public.%) 'b'::text)", "(a % 'b'::text)"),
            ("\"My Schema\".f(x) AND other.g(y)", "f(x) AND other.g(y)"),
            ("SELECT o.public FROM public.orders o", "SELECT o.public FROM orders o"),
            ("'public.x'", "'public.x'"),
        ] {
            assert_eq!(visible(sql, &searched), seen);
        }
    }
}
