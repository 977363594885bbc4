//! A cursor over tokens, for statements that the parser does not read.

use super::identifier::unquote;
use super::lexer::{Token, TokenKind};
use crate::model::name::TableName;

/// Takes these words from the front, if they stand there.
pub(crate) fn take(rest: &mut &[Token<'_>], words: &[&str]) -> bool {
    let there = rest.len() >= words.len()
        && words.iter().zip(*rest).all(|(word, token)| token.is_word(word));
    if there {
        *rest = &rest[words.len()..];
    }
    there
}

/// A name from the front, folded; without a schema it is one of `public`.
pub(crate) fn qualified(rest: &mut &[Token<'_>]) -> Option<TableName> {
    let mut parts = Vec::new();
    loop {
        let (token, after) = rest.split_first()?;
        parts.push(match token.kind {
            TokenKind::Word => token.text.to_lowercase(),
            TokenKind::QuotedIdent => unquote(token.text),
            _ => return None,
        });
        *rest = after;
        match rest.split_first() {
            Some((dot, after)) if dot.is(".") => *rest = after,
            _ => break,
        }
    }
    let name = parts.pop()?;
    Some(TableName::new(parts.pop().unwrap_or_else(|| "public".to_owned()), name))
}

/// The table that an `ALTER TABLE` names, from the front.
pub(crate) fn altered(rest: &mut &[Token<'_>]) -> Option<TableName> {
    if !take(rest, &["alter", "table"]) {
        return None;
    }
    take(rest, &["if", "exists"]);
    take(rest, &["only"]);
    qualified(rest)
}
