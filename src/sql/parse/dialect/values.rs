//! Constants with a type in front, operators and suffixes of expressions.

use super::{Helper, is_name};
use crate::sql::lex::lexer::TokenKind;

/// Words in front of a parameter that are no type: `FETCH FIRST $1`, `AT TIME ZONE $1`.
const NO_TYPE: &[&str] = &[
    "zone", "first", "next", "rows", "range", "groups", "uescape", "value", "key", "passing",
    "operator", "path",
];
const FIELDS: &[&str] = &["year", "month", "day", "hour", "minute", "second", "to"];

/// An operator that means nothing to the resolver.
const ANY_OPERATOR: &str = "~~~";

/// Operators of one's own that begin as an equality, such as `===`.
fn is_unreadable(operator: &str) -> bool {
    operator.len() > 1 && operator.starts_with('=') && operator != "=>"
}

impl Helper<'_, '_> {
    /// `date $1`, `double precision $1`, `timestamp(3) with time zone $1`: what a normalized
    /// `date '2026-01-01'` looks like. Written as a cast.
    pub(super) fn typed_constant(&mut self) -> bool {
        let starts = self.peek(0).is_some_and(|token| is_name(token) || token.is_word("interval"));
        if !starts || self.after_mark(".") || self.word_of(0, NO_TYPE) {
            return false;
        }
        let Some((name_end, end)) = self.type_at(0) else { return false };
        let Some(constant) = self.peek(end).filter(|token| token.kind == TokenKind::Parameter)
        else {
            return false;
        };
        let is_interval = self.word(0, "interval");
        let names: Vec<&str> =
            self.list[self.at..self.at + name_end].iter().map(|token| token.text).collect();
        let text = format!("{} :: {}", constant.text, names.join(" "));
        self.instead(end + 1, &text);
        // INTERVAL '1' MINUTE TO SECOND (2)
        while is_interval && self.word_of(0, FIELDS) {
            self.at += 1;
            if self.mark(0, "(") && self.mark(2, ")") {
                self.at += 3;
            }
        }
        true
    }

    /// Returns where the name of the type that begins `from` tokens ahead ends, and where the type ends with its
    /// size and time zone.
    fn type_at(&self, from: usize) -> Option<(usize, usize)> {
        let mut end = from + 1;
        while self.mark(end, ".") {
            end += 2;
        }
        if self.word_of(end, &["precision", "varying"]) {
            end += 1;
        }
        let name_end = end;
        if self.mark(end, "(") {
            let close = (end + 1..end + 5).find(|ahead| self.mark(*ahead, ")"))?;
            let size = |ahead: usize| {
                self.peek(ahead).is_some_and(|token| {
                    matches!(token.kind, TokenKind::Number | TokenKind::Parameter) || token.is(",")
                })
            };
            if close == end + 1 || !(end + 1..close).all(size) {
                return None;
            }
            end = close + 1;
        }
        if self.word_of(end, &["with", "without"]) && self.word(end + 1, "time") {
            end += 3;
        }
        Some((name_end, end))
    }

    /// Operators and suffixes that the parser does not know.
    pub(super) fn operand(&mut self) -> bool {
        let Some(token) = self.peek(0) else { return false };
        match token.kind {
            TokenKind::Operator => self.operator(token.text),
            TokenKind::Punctuation if token.text == "." => {
                // (f(x)).*: every column of a composite value.
                self.mark(1, "*") && self.after_mark(")") && self.instead(2, "")
            }
            TokenKind::QuotedIdent => {
                // U&"…"
                token.text.starts_with(['u', 'U']) && self.instead(1, &token.text[2..])
            }
            TokenKind::Word => self.suffix(),
            // EXTRACT($1 FROM x): which field does not matter here.
            TokenKind::Parameter => {
                self.word(1, "from")
                    && self.after_mark("(")
                    && self.before(2).is_some_and(|token| token.is_word("extract"))
                    && self.instead(1, "epoch")
            }
            _ => false,
        }
    }

    fn operator(&mut self, text: &str) -> bool {
        if text == "::" {
            // t.*::type: the row as a value.
            let is_row = self.after_mark("*") && self.before(2).is_some_and(|token| token.is("."));
            return is_row && self.type_at(1).is_some_and(|(_, end)| self.instead(end, ""));
        }
        if is_unreadable(text) {
            return self.instead(1, ANY_OPERATOR);
        }
        // Comparison of whole records, byte by byte.
        if let Some(plain) = text.strip_prefix('*')
            && matches!(plain, "=" | "<>" | "<" | "<=" | ">" | ">=")
        {
            return self.instead(1, plain);
        }
        // `x + ANY (…)`: only comparisons are read.
        if self.word_of(1, &["any", "all", "some"]) && self.mark(2, "(") {
            let known = ["=", "<>", "!=", "<", "<=", ">", ">=", "~", "~*", "!~", "!~*"];
            let like = ["~~", "~~*", "!~~", "!~~*"];
            return !known.contains(&text) && !like.contains(&text) && self.instead(2, text);
        }
        // Prefix operators of extensions.
        let known = ["-", "+", "~", "@", "|/", "||/", "!!", "*"];
        !self.is_after_operand() && !known.contains(&text) && !text.ends_with(['-', '+']) && {
            self.instead(1, "")
        }
    }

    fn suffix(&mut self) -> bool {
        // `x ISNULL`, `x NOTNULL`; with a parenthesis it is somebody's function.
        if self.is_after_operand() && !self.mark(1, "(") {
            if self.word(0, "isnull") {
                return self.instead(1, "IS NULL");
            }
            if self.word(0, "notnull") {
                return self.instead(1, "IS NOT NULL");
            }
        }
        if self.words(&["is", "document"]) {
            return self.instead(2, "IS TRUE");
        }
        if self.words(&["is", "not", "document"]) {
            return self.instead(3, "IS NOT TRUE");
        }
        if self.word_of(0, &["symmetric", "asymmetric"]) && self.after(&["between"]) {
            return self.instead(1, "");
        }
        if self.word(0, "uescape") && self.peek(1).is_some_and(|t| t.kind != TokenKind::Operator) {
            return self.instead(2, "");
        }
        // TRIM(BOTH FROM x)
        if self.word(0, "from") && self.after(&["both", "leading", "trailing"]) {
            return self.instead(1, "$1 FROM");
        }
        if self.words(&["at", "local"]) {
            return self.instead(2, "AT TIME ZONE $1");
        }
        if self.words(&["collation", "for"]) && self.mark(2, "(") {
            return self.instead(2, "pg_collation_for");
        }
        // OPERATOR(pg_catalog.=), as in the queries of foreign keys.
        if self.word(0, "operator") && self.mark(1, "(") {
            let close = self.close_of(self.at + 1);
            let builtin = self.word(2, "pg_catalog") || !self.mark(3, ".");
            let Some(operator) = self.list.get(close.saturating_sub(2)) else { return false };
            let text = match builtin {
                _ if is_unreadable(operator.text) => ANY_OPERATOR.to_owned(),
                true => operator.text.to_owned(),
                false => {
                    let parts = self.list[self.at..close].iter().map(|token| token.text);
                    parts.collect::<Vec<_>>().join(" ")
                }
            };
            return self.instead(close - self.at, &text);
        }
        // A cast with a collation behind it is a key that no index on the column serves.
        if self.word(0, "collate") && self.is_after_cast() {
            return self.instead(if self.mark(2, ".") { 4 } else { 2 }, "");
        }
        false
    }

    /// `… :: type` stands before the token at hand.
    fn is_after_cast(&self) -> bool {
        let mut back = 1;
        while self.before(back).is_some_and(|token| {
            is_name(token)
                || matches!(token.text, "." | "[" | "]" | "(" | ")")
                || token.kind == TokenKind::Number
        }) {
            back += 1;
        }
        back > 1 && self.before(back).is_some_and(|token| token.is("::"))
    }
}
