//! Parses normalized text; `dialect` rewrites what `sqlparser` cannot read.

use std::fmt;

use sqlparser::ast::{Expr, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer as token;

use super::dialect::help;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// Longest text that is parsed, bytes. Longer ones are generated, and a parser in front of them is a
/// risk: chains of operators are read in a loop that the recursion limit does not see, and dropping
/// the tree overflows the stack.
const MAX_BYTES: usize = 128 * 1024;
/// Most links of operator, `AND`, `OR` or set operation in one text, for the same reason. A 2 MiB
/// stack holds more than 10,000.
const MAX_LINKS: usize = 4_000;

/// Deepest nesting that is parsed. Query builders write `((a OR b) OR c) OR d`, one level for each
/// condition; walking and dropping a tree of this depth fits into a 2 MiB stack.
const MAX_DEPTH: usize = 400;

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
    read(text, |parser| parser.parse_statements())
}

/// Parses an expression.
pub fn parse_expression(text: &str) -> Result<Expr, ParseError> {
    read(text, |parser| {
        let expr = parser.parse_expr()?;
        parser.expect_token(&token::Token::EOF)?;
        Ok(expr)
    })
}

fn read<T>(
    text: &str,
    what: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(ParseError::TooLarge);
    }
    let list: Vec<Token<'_>> = tokens(text).collect();
    if list.iter().filter(|token| is_link(token)).count() > MAX_LINKS {
        return Err(ParseError::TooLarge);
    }
    Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(MAX_DEPTH)
        .try_with_sql(&help(&list))
        .and_then(|mut parser| what(&mut parser))
        .map_err(|error| ParseError::Syntax(error.to_string()))
}

fn is_link(token: &Token<'_>) -> bool {
    match token.kind {
        TokenKind::Operator => true,
        TokenKind::Word => {
            ["and", "or", "union", "intersect", "except"].iter().any(|word| token.is_word(word))
        }
        _ => false,
    }
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
        let nested = |depth: usize| {
            [
                ("(", ")"),
                ("NOT ", ""),
                ("(SELECT ", ")"),
                ("f(", ")"),
                ("CASE WHEN ", " THEN 1 END"),
            ]
            .map(|(open, close)| {
                format!("SELECT {}a{} FROM t", open.repeat(depth), close.repeat(depth))
            })
        };
        for sql in nested(10_000) {
            assert!(parse(&sql).is_err());
        }
        for sql in nested(100) {
            let tree = parse(&sql).unwrap_or_else(|error| panic!("{error}: {sql}"));
            assert!(crate::sql::resolve::resolver::shape(&tree.to_string(), None).is_ok());
        }
    }

    #[test]
    fn conditions_that_a_query_builder_nested_are_parsed() {
        let condition = (0..120).fold("a".to_owned(), |inner, _| format!("({inner} OR b = $1)"));
        let shape = crate::sql::resolve::resolver::shape(
            &format!("SELECT * FROM t WHERE {condition}"),
            None,
        );
        assert_eq!(shape.unwrap().scans.len(), 1);
    }
}
