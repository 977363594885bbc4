//! Clauses, and the items of a `FROM`.

use super::{Frame, Helper, Inside, is_name, is_one_of};
use crate::sql::lex::lexer::TokenKind;

impl Helper<'_, '_> {
    /// Clauses that say nothing about tables, predicates and order are left out.
    pub(super) fn clause(&mut self) -> bool {
        if self.peek(0).is_none_or(|token| token.kind != TokenKind::Word) {
            return false;
        }
        self.lock()
            || self.frame_exclusion()
            || self.recursion()
            || self.grouping()
            || self.conflict()
            || self.merge_source()
            || self.with_data()
            || self.query_word()
    }

    /// `WITH NO DATA` at the end of a query that is kept as a table; `WITH data AS (…)` is a query of its own.
    fn with_data(&mut self) -> bool {
        if self.words(&["with", "no", "data"]) {
            return self.instead(3, "");
        }
        let is_end = self.peek(2).is_none_or(|token| token.is(";"));
        is_end && self.words(&["with", "data"]) && self.instead(2, "")
    }

    /// `FOR NO KEY UPDATE` and `FOR KEY SHARE` lock as `FOR UPDATE` and `FOR SHARE` do.
    fn lock(&mut self) -> bool {
        if self.after(&["for"]) {
            if self.words(&["no", "key", "update"]) {
                return self.instead(2, "");
            }
            if self.words(&["key", "share"]) {
                return self.instead(1, "");
            }
        }
        false
    }

    /// `EXCLUDE CURRENT ROW` and its like in a window's frame.
    fn frame_exclusion(&mut self) -> bool {
        if !self.word(0, "exclude") || !self.after(&["following", "preceding", "row"]) {
            return false;
        }
        let length = if self.word_of(1, &["current", "no"]) { 3 } else { 2 };
        self.word_of(1, &["current", "no", "group", "ties"]) && self.instead(length, "")
    }

    /// `SEARCH … SET x` and `CYCLE … SET x USING y` behind a recursive query.
    fn recursion(&mut self) -> bool {
        if !self.after_mark(")") {
            return false;
        }
        let start = self.at;
        while let Some(length) = self.search_or_cycle() {
            self.at += length;
        }
        self.at > start
    }

    /// Length of the clause that begins here.
    fn search_or_cycle(&self) -> Option<usize> {
        let is_cycle = self.word(0, "cycle");
        let is_search = self.word(0, "search") && self.word_of(1, &["depth", "breadth"]);
        if !is_cycle && !is_search {
            return None;
        }
        let last = if is_cycle { "using" } else { "set" };
        let length = (1..)
            .take_while(|ahead| self.peek(*ahead).is_some_and(|t| !t.is("(")))
            .find(|ahead| self.word(*ahead, last))?;
        Some(length + 2)
    }

    /// `GROUP BY ALL`, `GROUP BY DISTINCT`, and grouping sets inside of grouping sets.
    fn grouping(&mut self) -> bool {
        if self.word_of(0, &["all", "distinct"]) && self.after(&["by"]) {
            return self.peek(1).is_some_and(is_name) && self.instead(1, "");
        }
        self.inside() == Inside::GroupingSets
            && self.words(&["grouping", "sets"])
            && self.instead(2, "")
    }

    /// `ON CONFLICT (lower(a)) WHERE b DO …`: which constraint is not asked for. `OVERRIDING … VALUE`.
    fn conflict(&mut self) -> bool {
        if self.word(0, "overriding") && self.word(2, "value") {
            return self.instead(3, "");
        }
        // In a MERGE.
        if self.after(&["insert"]) && self.words(&["default", "values"]) {
            return self.instead(2, "VALUES (DEFAULT)");
        }
        // RETURNING WITH (OLD AS o, NEW AS n) *
        if self.after(&["returning"]) && self.word(0, "with") && self.mark(1, "(") {
            let count = self.close_of(self.at + 1) - self.at;
            return self.instead(count, "");
        }
        if !self.words(&["on", "conflict"]) || !self.mark(2, "(") {
            return false;
        }
        let close = self.close_of(self.at + 2);
        let columns = self.list.get(self.at + 3..close - 1).unwrap_or(&[]);
        let simple = columns.iter().all(|token| is_name(*token) || token.is(","));
        let mut end = close;
        while self.list.get(end).is_some_and(|token| !token.is_word("do")) {
            end += 1;
        }
        let has_predicate = end > close;
        let count = end - self.at;
        (!simple || has_predicate) && self.instead(count, "ON CONFLICT")
    }

    /// `USING` with an operator, and `MERGE INTO t USING a JOIN b ON … ON …`: the join goes into parentheses.
    fn merge_source(&mut self) -> bool {
        // `ORDER BY a USING <`
        if self.word(0, "using") && self.peek(1).is_some_and(|t| t.kind == TokenKind::Operator) {
            return self.instead(2, if self.mark(1, ">") { "DESC" } else { "ASC" });
        }
        if !self.word(0, "using") || !self.list[..self.at].iter().any(|t| t.is_word("merge")) {
            return false;
        }
        let (mut depth, mut joins, mut last_on) = (0usize, false, None);
        for (at, token) in self.list.iter().enumerate().skip(self.at + 1) {
            match token.text {
                "(" => depth += 1,
                ")" if depth == 0 => return false,
                ")" => depth -= 1,
                _ if depth > 0 => {}
                _ if token.is_word("when") => break,
                _ if token.is_word("join") => joins = true,
                _ if token.is_word("on") => last_on = Some(at),
                _ => {}
            }
        }
        let Some(on) = last_on.filter(|_| joins) else { return false };
        self.frame().closes_at = Some(on);
        self.instead(1, "USING (")
    }

    /// Queries without a select list, and `TABLE t`.
    fn query_word(&mut self) -> bool {
        let begins = self.before(1).is_none_or(|token| {
            token.is("(") || is_one_of(token, &["union", "except", "intersect", "all", "as"])
        }) || (self.after_mark(")") && self.frames.len() == 1);
        if self.word(0, "table") && begins && self.peek(1).is_some_and(is_table_name) {
            return self.instead(if self.word(1, "only") { 2 } else { 1 }, "SELECT * FROM");
        }
        let ends = self.peek(1).is_none_or(|next| {
            next.is(")")
                || next.is(";")
                || is_one_of(
                    next,
                    &[
                        "from",
                        "where",
                        "union",
                        "except",
                        "intersect",
                        "group",
                        "having",
                        "order",
                        "limit",
                        "offset",
                        "for",
                        "into",
                        "fetch",
                        "returning",
                    ],
                )
        });
        if self.word(0, "select") && ends {
            return self.instead(1, "SELECT NULL");
        }
        // SELECT DISTINCT FROM t
        if self.word_of(0, &["all", "distinct"]) && self.after(&["select"]) && self.word(1, "from")
        {
            return self.instead(1, "NULL");
        }
        false
    }

    /// Items of a `FROM`, and what is written in the place of a condition.
    pub(super) fn table(&mut self) -> bool {
        if self
            .peek(0)
            .is_none_or(|token| !matches!(token.kind, TokenKind::Word | TokenKind::Operator))
        {
            return self.columns_without_alias();
        }
        // `FROM ONLY t` would be read as a table called "only".
        let relation = ["from", "update", "join", "into", "using", "table", "merge"];
        if self.word(0, "only")
            && (self.after(&relation) || self.after_mark(","))
            && self.peek(1).is_some_and(|t| {
                matches!(t.kind, TokenKind::Word | TokenKind::QuotedIdent) || t.is("(")
            })
        {
            return self.instead(1, "");
        }
        // `FROM t*`: with what inherits from it, as is the rule anyway.
        if self.mark(0, "*") && self.is_table_before() {
            return self.instead(1, "");
        }
        if self.words(&["current", "of"]) && self.after(&["where"]) {
            return self.instead(3, "TRUE");
        }
        if self.words(&["rows", "from"]) && self.mark(2, "(") {
            self.frames.push(Frame { inside: Inside::RowsFrom, ..Frame::default() });
            return self.instead(3, "rows_from (");
        }
        // `JOIN u USING (a) AS x`
        if self.word(0, "as") && self.is_after_using() {
            return self.instead(2, "");
        }
        self.columns_without_alias()
    }

    /// `f(x) AS (a int, b text)`: gets a name; inside of `ROWS FROM` it goes.
    fn columns_without_alias(&mut self) -> bool {
        if !self.word(0, "as") || !self.mark(1, "(") || !self.after_mark(")") {
            return false;
        }
        // A common table expression: `x (a) AS (SELECT …)`.
        if self.word_of(
            2,
            &["select", "with", "values", "insert", "update", "delete", "merge", "table"],
        ) || self.mark(2, "(")
        {
            return false;
        }
        let close = self.close_of(self.at + 1);
        if self.inside() == Inside::RowsFrom {
            let count = close - self.at;
            return self.instead(count, "");
        }
        self.instead(1, "AS columns_of")
    }

    fn is_table_before(&self) -> bool {
        let mut back = 1;
        while self.before(back).is_some_and(is_name)
            && self.before(back + 1).is_some_and(|t| t.is("."))
        {
            back += 2;
        }
        self.before(back).is_some_and(is_name)
            && self
                .before(back + 1)
                .is_some_and(|t| is_one_of(t, &["from", "join", "update", "into", "only", "table"]))
            && self.peek(1).is_none_or(|next| {
                matches!(next.kind, TokenKind::Word | TokenKind::QuotedIdent)
                    || matches!(next.text, "," | ")" | ";")
            })
    }

    /// `USING (a, b)` stands before.
    fn is_after_using(&self) -> bool {
        let mut back = 1;
        if !self.after_mark(")") {
            return false;
        }
        while self.before(back).is_some_and(|token| !token.is("(")) {
            back += 1;
        }
        self.before(back + 1).is_some_and(|token| token.is_word("using"))
    }
}

fn is_table_name(token: super::Token<'_>) -> bool {
    is_name(token) || token.is_word("only")
}
