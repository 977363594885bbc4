//! Normalized text to syntax tree, with help for what `sqlparser` cannot read as it stands.

use std::fmt;

use sqlparser::ast::Statement;
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

use super::lexer::{Kind, Token, tokens};

/// Longest text that is parsed, bytes. Longer ones are generated, and a parser in front of them is a
/// risk: chains of operators are read in a loop that the recursion limit does not see, and dropping
/// the tree overflows the stack.
const MAX_BYTES: usize = 128 * 1024;
/// Most links of operator, `AND`, `OR` or set operation in one text, for the same reason. A 2 MiB
/// stack holds more than 10,000.
const MAX_LINKS: usize = 4_000;

/// Why a statement has no syntax tree. Holds no literal: what is parsed is normalized.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParseError {
    TooLarge,
    Syntax(String),
    /// Several statements, or none.
    Count(usize),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::TooLarge => f.write_str("too large to analyse"),
            ParseError::Syntax(message) => write!(f, "not parsed: {message}"),
            ParseError::Count(0) => f.write_str("empty statement"),
            ParseError::Count(count) => write!(f, "{count} statements in one"),
        }
    }
}

/// Parses one normalized statement.
pub fn parse(normalized: &str) -> Result<Statement, ParseError> {
    let mut statements = parse_all(normalized)?;
    match (statements.pop(), statements.len()) {
        (Some(statement), 0) => Ok(statement),
        (last, rest) => Err(ParseError::Count(rest + usize::from(last.is_some()))),
    }
}

/// Parses every statement of a text; used for schema dumps, one statement at a time.
pub fn parse_all(text: &str) -> Result<Vec<Statement>, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::TooLarge);
    }
    let list: Vec<Token<'_>> = tokens(text).collect();
    if list.iter().filter(|token| is_link(token)).count() > MAX_LINKS {
        return Err(ParseError::TooLarge);
    }
    Parser::parse_sql(&PostgreSqlDialect {}, &help(&list))
        .map_err(|error| ParseError::Syntax(error.to_string()))
}

fn is_link(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Operator => true,
        Kind::Word => {
            ["and", "or", "union", "intersect", "except"].iter().any(|word| token.is_word(word))
        }
        _ => false,
    }
}

/// The text again, with what the parser misreads written as something it reads and that means the
/// same for tables, predicates and order.
fn help(list: &[Token<'_>]) -> String {
    let mut out = String::new();
    let mut at = 0;
    while at < list.len() {
        let token = list[at];
        let next = |ahead: usize| list.get(at + ahead);
        let next_is = |ahead: usize, word: &str| next(ahead).is_some_and(|t| t.is_word(word));
        let before = |word: &str| at > 0 && list[at - 1].is_word(word);
        // `FROM ONLY t` would be read as a table called "only".
        if token.is_word("only")
            && (["from", "update", "join", "into", "using", "table"].iter().any(|w| before(w))
                || (at > 0 && list[at - 1].is(",")))
            && next(1)
                .is_some_and(|t| matches!(t.kind, Kind::Word | Kind::QuotedIdent) || t.is("("))
        {
            at += 1;
            continue;
        }
        // `FOR NO KEY UPDATE` and `FOR KEY SHARE` lock as `FOR UPDATE` and `FOR SHARE` do.
        if token.is_word("no") && before("for") && next_is(1, "key") {
            at += 2;
            continue;
        }
        if token.is_word("key") && before("for") && next_is(1, "share") {
            at += 1;
            continue;
        }
        // `interval $1` is what a normalized `interval '1 day'` looks like.
        if token.kind == Kind::Word
            && ["interval", "date", "timestamp", "timestamptz", "time"]
                .iter()
                .any(|w| token.is_word(w))
            && next(1).is_some_and(|t| t.kind == Kind::Parameter)
        {
            let parameter = list[at + 1].text;
            push(&mut out, &format!("{parameter}::{}", token.text));
            at += 2;
            continue;
        }
        // `extract($1 from x)`: which field does not matter here.
        if token.kind == Kind::Parameter
            && next_is(1, "from")
            && at >= 2
            && list[at - 1].is("(")
            && list[at - 2].is_word("extract")
        {
            push(&mut out, "epoch");
            at += 1;
            continue;
        }
        push(&mut out, token.text);
        at += 1;
    }
    out
}

fn push(out: &mut String, text: &str) {
    if !out.is_empty() {
        out.push(' ');
    }
    out.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_is_never_a_table() {
        for sql in
            ["SELECT a FROM ONLY t", "UPDATE ONLY t SET a = $1", "DELETE FROM ONLY t WHERE a = $1"]
        {
            assert!(!parse(sql).unwrap().to_string().to_lowercase().contains("only"), "{sql}");
        }
    }

    #[test]
    fn normalized_forms_that_no_parser_takes_are_helped() {
        for sql in [
            "SELECT a FROM t WHERE b > now() - interval $1",
            "SELECT extract($1 FROM created_at) FROM t",
            "SELECT a FROM t WHERE id = $1 FOR NO KEY UPDATE",
            "SELECT a FROM t WHERE id = $1 FOR KEY SHARE",
        ] {
            assert!(parse(sql).is_ok(), "{sql}: {:?}", parse(sql));
        }
    }

    #[test]
    fn generated_monsters_are_refused_and_do_not_abort() {
        let unions = vec!["SELECT 1"; 20_000].join(" UNION ");
        assert_eq!(parse(&unions), Err(ParseError::TooLarge));
        let sums = vec!["a"; 60_000].join("+");
        assert_eq!(parse(&format!("SELECT {sums}")), Err(ParseError::TooLarge));
        let links = vec!["a"; MAX_LINKS - 1].join("+");
        assert!(parse(&format!("SELECT {links}")).is_ok());
        let nested = format!("SELECT {}1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(parse(&nested).is_err());
    }
}
