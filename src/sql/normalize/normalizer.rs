//! One text for all executions of a statement: literals become `$n`, lists shrink to one element,
//! comments, spacing and letter case go away.
//!
//! Works on tokens, so that it never fails. Normalizing a normalized text changes nothing.

use super::output::{Last, Output};
use super::slot::Slot;
use crate::sql::lex::identifier::is_plain;
use crate::sql::lex::keyword::is_shown_in_capitals;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// A statement without its literals, and where each `$n` of it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalized<'a> {
    pub text: String,
    /// `slots[0]` stands behind `$1`.
    pub slots: Vec<Slot<'a>>,
    /// Offsets of literals that stay in the text: positions in `ORDER BY`, sizes of types.
    pub kept: Vec<usize>,
}

/// Normalizes one statement.
pub fn normalize(sql: &str) -> Normalized<'_> {
    let mut tokens: Vec<Token<'_>> = tokens(sql).collect();
    while tokens.last().is_some_and(|token| token.is(";")) {
        tokens.pop();
    }
    let mut writer = Writer {
        tokens: &tokens,
        output: Output::with_capacity(sql.len().min(4096)),
        kept: Vec::new(),
        depth: 0,
        by_list_depth: None,
    };
    writer.run();
    let Writer { output, kept, .. } = writer;
    Normalized { text: output.text, slots: output.slots, kept }
}

/// Words that end an `ORDER BY` or `GROUP BY` list.
const AFTER_LIST: [&str; 12] = [
    "limit",
    "offset",
    "having",
    "union",
    "except",
    "intersect",
    "fetch",
    "for",
    "window",
    "rows",
    "range",
    "groups",
];
/// Other words that may follow a position in such a list.
const AFTER_POSITION: [&str; 4] = ["asc", "desc", "nulls", "order"];

struct Writer<'t, 'a> {
    tokens: &'t [Token<'a>],
    output: Output<'a>,
    kept: Vec<usize>,
    depth: usize,
    /// Depth of the `ORDER BY` or `GROUP BY` list we are in: a bare integer there is a position.
    by_list_depth: Option<usize>,
}

impl<'t, 'a> Writer<'t, 'a> {
    fn run(&mut self) {
        if self.name_only_statement() {
            return;
        }
        let mut at = 0;
        while at < self.tokens.len() {
            at = self.step(at);
        }
    }

    /// Statements whose words are names made up by a driver, or values that need no quotes:
    /// `SAVEPOINT x`, `SET app.tenant = acme`, `LISTEN x`.
    fn name_only_statement(&mut self) -> bool {
        const NAMED: &[&str] =
            &["savepoint", "release", "deallocate", "close", "listen", "unlisten", "notify"];
        let Some(first) = self.tokens.first() else { return false };
        if first.is_word("set") {
            return self.setting();
        }
        let Some(verb) = NAMED.iter().find(|verb| first.is_word(verb)) else {
            return self.rollback_to();
        };
        self.output.text = format!("{} $1", verb.to_uppercase());
        true
    }

    /// `SET name = value`: the value may stand without quotes.
    fn setting(&mut self) -> bool {
        let is_to = |token: &Token<'_>| token.is("=") || token.is_word("to");
        let Some(at) = self.tokens.iter().position(is_to) else {
            // SET TRANSACTION, SET ROLE x, SET SESSION AUTHORIZATION x, SET TIME ZONE x.
            let words = ["transaction", "constraints", "session"];
            if self.tokens.get(1).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
            {
                return false;
            }
            let kind = self.tokens.get(1).filter(|token| token.kind == TokenKind::Word);
            let Some(kind) = kind.map(|token| token.text.to_ascii_uppercase()) else {
                return false;
            };
            self.output.text = format!("SET {kind} $1");
            return true;
        };
        let is_name =
            |t: &Token<'_>| matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent) || t.is(".");
        if !self.tokens[..at].iter().all(is_name) {
            return false;
        }
        self.copy(0, at);
        self.output.text.push_str(" = $1");
        true
    }

    fn rollback_to(&mut self) -> bool {
        let is = self.tokens.len() >= 3
            && self.tokens[0].is_word("rollback")
            && self.tokens.iter().any(|token| token.is_word("to"));
        if is {
            self.output.text.push_str("ROLLBACK TO $1");
        }
        is
    }

    /// Writes the token at `at`, and whatever belongs to it; returns where to go on.
    fn step(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        match token.kind {
            TokenKind::Word => self.word(at),
            TokenKind::QuotedIdent => {
                // What is cut short stays as it is.
                let inner = token.text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
                let plain = inner.filter(|name| is_plain(name) && !is_shown_in_capitals(name));
                self.output.emit(plain.unwrap_or(token.text), Last::Word { capital: false });
                at + 1
            }
            TokenKind::String | TokenKind::Parameter => {
                self.output.value(token, false, 1);
                at + 1
            }
            TokenKind::Number => self.number(at),
            TokenKind::Punctuation => self.punctuation(at),
            TokenKind::Operator => self.operator(at),
        }
    }

    fn word(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        // Beyond ASCII the server leaves letters as they are.
        let lower = token.text.to_ascii_lowercase();
        let next = self.tokens.get(at + 1);
        let is_constant = matches!(lower.as_str(), "true" | "false" | "null");
        if is_constant && !self.is_no_value(at) {
            self.output.value(token, false, 1);
            return at + 1;
        }
        self.note_by_list(at, &lower);
        // After a dot every word is a name.
        let capital = self.output.last != Last::Dot && is_shown_in_capitals(&lower);
        self.output.emit(
            if capital { lower.to_uppercase() } else { lower.clone() }.as_str(),
            Last::Word { capital },
        );
        match lower.as_str() {
            "in" if next.is_some_and(|t| t.is("(")) => self.constant_list(at + 1, "(", ")"),
            "array" if next.is_some_and(|t| t.is("[")) => self.constant_list(at + 1, "[", "]"),
            "values" if next.is_some_and(|t| t.is("(")) => self.values(at + 1),
            _ if self.is_type_name(at) => self.type_modifier(at + 1),
            _ => at + 1,
        }
    }

    /// `TRUE`, `FALSE` or `NULL` at `at` is part of a test, a label (`AS true`) or an option
    /// (`NULL ON NULL`).
    fn is_no_value(&self, at: usize) -> bool {
        let is = |at: usize, words: &[&str]| {
            self.tokens.get(at).is_some_and(|token| words.iter().any(|word| token.is_word(word)))
        };
        self.follows(at, &["is", "not", "nulls", "default", "as"])
            || self.output.last == Last::Dot
            || (is(at + 1, &["on"]) && is(at + 2, &["null", "empty", "error"]))
            || (self.follows(at, &["on"]) && at > 1 && is(at - 2, &["null", "absent"]))
    }

    /// The token before `at` is one of these words.
    fn follows(&self, at: usize, words: &[&str]) -> bool {
        at.checked_sub(1).is_some_and(|before| words.iter().any(|w| self.tokens[before].is_word(w)))
    }

    fn note_by_list(&mut self, at: usize, lower: &str) {
        if lower == "by" && self.follows(at, &["order", "group"]) {
            self.by_list_depth = Some(self.depth);
        } else if AFTER_LIST.contains(&lower) && self.by_list_depth == Some(self.depth) {
            self.by_list_depth = None;
        }
    }

    fn number(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        let in_by_list = self.by_list_depth == Some(self.depth)
            && (self.follows(at, &["by"]) || self.output.last == Last::Comma);
        let alone = self.tokens.get(at + 1).is_none_or(|next| {
            next.is(",")
                || next.is(")")
                || AFTER_LIST.iter().chain(&AFTER_POSITION).any(|word| next.is_word(word))
        });
        if in_by_list && alone && token.text.bytes().all(|byte| byte.is_ascii_digit()) {
            self.kept.push(token.start);
            self.output.emit(token.text, Last::Value);
        } else {
            self.output.value(token, false, 1);
        }
        at + 1
    }

    /// The word at `at` names a type: `x::numeric(10, 2)`, `CAST(x AS numeric(10, 2))` or, in a list
    /// of columns, `price numeric(10, 2)`.
    fn is_type_name(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1).map(|before| self.tokens[before]) else {
            return false;
        };
        let is_column = match before.kind {
            TokenKind::QuotedIdent => true,
            TokenKind::Word => !is_shown_in_capitals(&before.text.to_ascii_lowercase()),
            _ => false,
        };
        self.tokens.get(at + 1).is_some_and(|next| next.is("("))
            && (before.is("::") || before.is_word("as") || is_column)
    }

    /// Keeps `(10, 2)` behind a type's name as it is.
    fn type_modifier(&mut self, open: usize) -> usize {
        let close = self.tokens[open..].iter().position(|token| token.is(")")).map(|n| open + n);
        let Some(close) = close else { return open };
        let inside = &self.tokens[open + 1..close];
        if inside.is_empty() || !inside.iter().all(|t| t.kind == TokenKind::Number || t.is(",")) {
            return open;
        }
        for at in open..=close {
            let token = self.tokens[at];
            if token.kind == TokenKind::Number {
                self.kept.push(token.start);
            }
            let last = match token.text {
                "(" => Last::Open,
                ")" => Last::Close,
                "," => Last::Comma,
                _ => Last::Value,
            };
            self.output.emit(token.text, last);
        }
        close + 1
    }

    /// `IN (1, 2, 3)` and `ARRAY[1, 2, 3]`: constants only, so the length says nothing.
    fn constant_list(&mut self, open: usize, opener: &str, closer: &str) -> usize {
        let mut elements = 0;
        let mut at = open + 1;
        let mut first = None;
        let mut cast_end = None;
        loop {
            let Some((token, negative, after)) = self.constant_at(at) else { return open };
            let after_cast = self.cast_at(after);
            if first.is_none() {
                first = Some((token, negative));
                cast_end = Some((after, after_cast));
            }
            elements += 1;
            match self.tokens.get(after_cast) {
                Some(next) if next.is(",") => at = after_cast + 1,
                Some(next) if next.is(closer) => {
                    at = after_cast;
                    break;
                }
                _ => return open,
            }
        }
        self.output.emit(opener, Last::Open);
        if let (Some((token, negative)), Some((from, to))) = (first, cast_end) {
            self.output.value(token, negative, elements);
            self.copy(from, to);
        }
        self.output.emit(closer, Last::Close);
        at + 1
    }

    /// A literal or parameter at `at`, its sign, and where it ends.
    fn constant_at(&self, at: usize) -> Option<(Token<'a>, bool, usize)> {
        let token = *self.tokens.get(at)?;
        match token.kind {
            TokenKind::String | TokenKind::Number | TokenKind::Parameter => {
                Some((token, false, at + 1))
            }
            TokenKind::Operator if token.text == "-" => {
                let number = *self.tokens.get(at + 1)?;
                (number.kind == TokenKind::Number).then_some((number, true, at + 2))
            }
            TokenKind::Word if ["null", "true", "false"].iter().any(|w| token.is_word(w)) => {
                Some((token, false, at + 1))
            }
            _ => None,
        }
    }

    /// End of the casts that begin at `at`: `::int`, `::varchar(10)`, `::int[]`.
    fn cast_at(&self, at: usize) -> usize {
        let mut end = at;
        while self.tokens.get(end).is_some_and(|token| token.is("::")) {
            end += 2;
            while self.tokens.get(end).is_some_and(|t| {
                t.is(".")
                    || t.is("[")
                    || t.is("]")
                    || matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent)
            }) {
                end += 1;
            }
        }
        end
    }

    /// Writes the tokens `from..to` as they come.
    fn copy(&mut self, from: usize, to: usize) {
        let mut at = from;
        while at < to {
            at = self.step(at);
        }
    }

    /// The rows behind `VALUES`: only the first is written.
    fn values(&mut self, open: usize) -> usize {
        let mut end = self.close_of(open);
        let first_slot = self.output.slots.len();
        self.copy(open, end);
        let mut rows = 1;
        while self.tokens.get(end).is_some_and(|t| t.is(","))
            && self.tokens.get(end + 1).is_some_and(|t| t.is("("))
        {
            end = self.close_of(end + 1);
            rows += 1;
        }
        for slot in &mut self.output.slots[first_slot..] {
            slot.elements *= rows;
        }
        end
    }

    /// One past the parenthesis that closes the one at `open`.
    fn close_of(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            if token.is("(") {
                depth += 1;
            } else if token.is(")") {
                depth -= 1;
                if depth == 0 {
                    return at + 1;
                }
            }
        }
        self.tokens.len()
    }

    fn punctuation(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        let last = match token.text {
            "(" | "[" => {
                self.depth += 1;
                Last::Open
            }
            ")" | "]" => {
                if self.by_list_depth == Some(self.depth) {
                    self.by_list_depth = None;
                }
                self.depth = self.depth.saturating_sub(1);
                Last::Close
            }
            "," => Last::Comma,
            "." => Last::Dot,
            _ => Last::Operator,
        };
        self.output.emit(token.text, last);
        at + 1
    }

    fn operator(&mut self, at: usize) -> usize {
        let token = self.tokens[at];
        // The lexer cannot know that the minus of `a=-1` is a sign; the server's scanner does the
        // same and so does this: `=-` before a number is `=` and a sign.
        let (operator, sign) = match token.text.strip_suffix('-') {
            Some(rest) if self.tokens.get(at + 1).is_some_and(|t| t.kind == TokenKind::Number) => {
                (rest, self.output.expects_operand() || !rest.is_empty())
            }
            _ => (token.text, false),
        };
        if !sign {
            let last = if token.text == "::" { Last::Cast } else { Last::Operator };
            self.output.emit(token.text, last);
            return at + 1;
        }
        if !operator.is_empty() {
            self.output.emit(operator, Last::Operator);
        }
        self.output.value(self.tokens[at + 1], true, 1);
        at + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::literal::Literal;

    fn text(sql: &str) -> String {
        normalize(sql).text
    }

    #[test]
    fn literals_spacing_comments_and_case_do_not_matter() {
        let one = "SELECT \"id\" FROM orders WHERE buyer_id = 42 AND status = 'paid' LIMIT 20";
        let two =
            "select id\n from ORDERS /* x */ where buyer_id=$1 and status=$2\tlimit $3;-- end";
        assert_eq!(text(one), text(two));
        assert_eq!(text(one), "SELECT id FROM orders WHERE buyer_id = $1 AND status = $2 LIMIT $3");
    }

    #[test]
    fn a_list_of_any_length_has_one_form() {
        assert_eq!(text("a IN (1)"), text("a in (1, -2 ,3)"));
        assert_eq!(text("a IN ($1 /*, ... */)"), text("a in ('x','y')"));
        assert_eq!(text("ARRAY[1,2]"), text("array[1]"));
        assert_eq!(text("a IN (1::int, 2::int)"), "a IN ($1::int)");
        assert_eq!(
            text("INSERT INTO t (a, b) VALUES (1, 2), (3, 4) RETURNING id"),
            text("INSERT INTO t (a, b) VALUES (1, 2) RETURNING id")
        );
        assert_ne!(text("a IN (SELECT 1)"), text("a IN (1)"));
        assert_eq!(normalize("a IN (1, 2, 3)").slots[0].elements, 3);
    }

    #[test]
    fn different_statements_stay_different() {
        assert_ne!(text("SELECT a FROM t"), text("SELECT b FROM t"));
        assert_ne!(text("SELECT a FROM \"T\""), text("SELECT a FROM t"));
        assert_ne!(text("a IS NULL"), text("a IS NOT NULL"));
        assert_ne!(text("SELECT a FROM t ORDER BY 1"), text("SELECT a FROM t ORDER BY 2"));
        assert_ne!(text("a::numeric(10,2)"), text("a::numeric(12,2)"));
    }

    #[test]
    fn a_sign_belongs_to_its_number() {
        assert_eq!(text("a = -5"), text("a=5"));
        assert_eq!(text("a=-5"), text("a = 5"));
        assert_eq!(text("a - 5"), "a - $1");
        assert_eq!(normalize("a = -5").slots[0].value(&[]), Some(Literal::text("-5")));
    }

    #[test]
    fn constants_in_words_are_literals_and_null_tests_are_not() {
        assert_eq!(text("active = TRUE AND x IS NULL"), "active = $1 AND x IS NULL");
        assert_eq!(normalize("x = null").slots[0].value(&[]), Some(Literal::NULL));
    }

    #[test]
    fn values_without_quotes_are_values_too() {
        assert_eq!(text("set app.tenant = acme"), "SET app.tenant = $1");
        assert_eq!(text("SET LOCAL role TO admin"), "SET local role = $1");
        assert_eq!(text("SET ROLE bob"), "SET ROLE $1");
        assert_eq!(text("LISTEN secret_channel"), "LISTEN $1");
        assert_eq!(text("NOTIFY c, 'payload'"), "NOTIFY $1");
        assert_eq!(text("UPDATE t SET a = b"), "UPDATE t SET a = b");
    }

    #[test]
    fn normalizing_twice_changes_nothing() {
        for sql in [
            "SELECT f(a, -1), b[1] FROM s.\"T\" t WHERE x->>'k' = 'v' ORDER BY 2 DESC, lower(a) LIMIT 5",
            "INSERT INTO t VALUES (1,'a'),(2,'b') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a",
            "select interval '1 day', date '2020-01-01', E'a\\'b', $x$q$x$, a::varchar(10)[]",
            "SAVEPOINT sa_1",
            "SELECT \"values\", \"user\", \"set\" FROM t GROUP BY 1, 2",
        ] {
            let once = text(sql);
            assert_eq!(text(&once), once, "of {sql}");
        }
    }
}
