//! Targets of writes: columns with subscripts and fields.

use super::{Helper, Inside, is_name};

impl Helper<'_, '_> {
    /// The parenthesis at hand opens the columns of an `INSERT`.
    pub(super) fn is_column_list(&self) -> bool {
        let mut back = 1;
        // INSERT INTO a.b AS c (
        while self.before(back).is_some_and(|t| is_name(t) || t.is(".") || t.is_word("as")) {
            back += 1;
        }
        back > 1
            && self.before(back).is_some_and(|token| token.is_word("into"))
            && !self.word_of(1, &["select", "with", "values", "table"])
            && !self.mark(1, "(")
    }

    /// `SET a[1].b = …` and `INSERT INTO t (a[1], b.c)` write to `a` and `b`.
    pub(super) fn target(&mut self) -> bool {
        let Some(token) = self.peek(0) else { return false };
        if token.is_word("set") {
            self.frame().assigning = true;
            return false;
        }
        let ends = ["from", "where", "returning", "when", "on"];
        if super::is_one_of(token, &ends) {
            self.frame().assigning = false;
            return false;
        }
        let writes = self.inside() == Inside::Columns
            && (self.after_mark("(") || self.after_mark(","))
            || self.frames.last().is_some_and(|frame| frame.assigning)
                && (self.after(&["set"]) || self.after_mark(","));
        if !writes || !is_name(token) || !(self.mark(1, "[") || self.mark(1, ".")) {
            return false;
        }
        let name = token.text;
        self.instead(1, name);
        loop {
            if self.mark(0, "[") {
                self.at = self.close_of(self.at);
            } else if self.mark(0, ".") {
                self.at += 2;
            } else {
                return true;
            }
        }
    }
}
