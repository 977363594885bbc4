//! Functions whose arguments have words between them: SQL/JSON, SQL/XML and their like. They become
//! plain calls with the expressions as arguments.

use super::{Frame, Helper, Inside, is_name, is_one_of};
use crate::sql::lex::lexer::{Token, TokenKind};

/// Written with quotes in the text for the parser, so that it sees a function like any other.
const CALLS: &[&str] = &[
    "json",
    "json_array",
    "json_arrayagg",
    "json_exists",
    "json_object",
    "json_objectagg",
    "json_query",
    "json_scalar",
    "json_serialize",
    "json_table",
    "json_value",
    "xmlattributes",
    "xmlconcat",
    "xmlelement",
    "xmlexists",
    "xmlforest",
    "xmlnamespaces",
    "xmlparse",
    "xmlpi",
    "xmlroot",
    "xmlserialize",
    "xmltable",
];
/// From here to the next argument there are only options.
const OPTIONS: &[&str] = &[
    "returning",
    "error",
    "empty",
    "null",
    "absent",
    "with",
    "without",
    "format",
    "keep",
    "omit",
    "unknown",
    "unique",
    "columns",
    "indent",
    "no",
    "on",
    "true",
    "false",
    "preserve",
    "strip",
    "yes",
    "standalone",
];
/// Between two arguments.
const SEPARATORS: &[&str] = &["passing", "default", "value", "similar", "version"];
/// Say nothing and stand in front of an argument.
const FILLERS: &[&str] = &["key", "document", "content", "variadic"];

impl<'a> Helper<'_, 'a> {
    /// Returns what kind of parenthesis opens at the current token.
    pub(super) fn opens(&self) -> Inside {
        let Some(name) = self.before(1) else { return Inside::Plain };
        if self.before(2).is_some_and(|t| t.is_word("grouping")) && name.is_word("sets") {
            return Inside::GroupingSets;
        }
        if self.is_column_list() { Inside::Columns } else { Inside::Plain }
    }

    /// `VARIADIC` anywhere, and everything inside of the functions above.
    pub(super) fn call(&mut self) -> bool {
        let Some(token) = self.peek(0) else { return false };
        if token.is_word("variadic") && (self.after_mark("(") || self.after_mark(",")) {
            return !self.mark(1, ")") && !self.mark(1, ",") && self.instead(1, "");
        }
        // JSON_ARRAY(SELECT …)
        if token.is_word("json_array")
            && self.mark(1, "(")
            && self.word_of(2, &["select", "with", "values", "table"])
        {
            return self.instead(1, "ARRAY");
        }
        if is_one_of(token, CALLS) && self.mark(1, "(") && !self.after_mark(".") {
            self.frames.push(Frame { inside: Inside::Call, ..Frame::default() });
            let name = format!("\"{}\" (", token.text.to_lowercase());
            return self.instead(2, &name);
        }
        // `SUBSTRING(a SIMILAR b ESCAPE c)`
        if token.is_word("substring") && self.mark(1, "(") {
            let close = self.close_of(self.at + 1);
            let mut inside = self.list.get(self.at + 2..close).unwrap_or(&[]).iter();
            if inside.any(|token| token.is_word("similar")) {
                self.frames.push(Frame { inside: Inside::Call, ..Frame::default() });
                return self.instead(2, "\"substring\" (");
            }
        }
        self.inside() == Inside::Call && self.argument(token)
    }

    fn argument(&mut self, token: Token<'a>) -> bool {
        if token.is(")") {
            self.frame().skipping = false;
            return false;
        }
        let first = self.out.ends_with('(') || self.out.ends_with(',');
        if is_one_of(token, SEPARATORS) || (token.is_word("escape")) {
            self.frame().skipping = false;
            // `PASSING BY REF x`
            let length = if self.word(1, "by") { 3 } else { 1 };
            return self.instead(length, if first { "" } else { "," });
        }
        if token.is(",") {
            self.frame().skipping = false;
            return if first { self.instead(1, "") } else { false };
        }
        // `'a' : 1` in JSON_OBJECT.
        if token.is(":") && !self.frame().skipping {
            return self.instead(1, ",");
        }
        // Up to the end, in parentheses or not.
        if token.is_word("columns") && !first {
            while self.peek(0).is_some_and(|token| !token.is(")")) {
                self.skip();
            }
            return true;
        }
        if self.frame().skipping {
            return self.skip();
        }
        // `NULL ON NULL`, which may have become `$1 ON $2`.
        let is_option = is_one_of(token, OPTIONS) && !self.is_operand_word(token)
            || (!first && token.kind == TokenKind::Parameter && self.word(1, "on"));
        if is_option
            || token.is_word("as")
            || (token.is_word("by") && self.word_of(1, &["ref", "value"]))
        {
            self.frame().skipping = true;
            return self.skip();
        }
        if is_one_of(token, FILLERS)
            && first
            && self.peek(1).is_some_and(|t| t.kind != TokenKind::Punctuation)
        {
            return self.instead(1, "");
        }
        // `XMLELEMENT(NAME foo, …)`, `XMLPI(NAME foo)`
        if token.is_word("name") && first && self.peek(1).is_some_and(is_name) {
            return self.instead(2, "NULL");
        }
        false
    }

    /// `NULL`, `TRUE` and `FALSE` are arguments as well as options, and any of the words may be a
    /// column's name.
    fn is_operand_word(&self, token: Token<'a>) -> bool {
        let first = self.out.ends_with('(') || self.out.ends_with(',');
        let constant = is_one_of(token, &["null", "true", "false"]) && !self.word(1, "on");
        constant
            || first && !self.word(1, "on") && is_name(token)
            || self.mark(1, ".")
            || self.after_mark(".")
    }

    /// Leaves out one token, and what it opens.
    fn skip(&mut self) -> bool {
        let count = match self.peek(0) {
            Some(token) if token.is("(") => self.close_of(self.at) - self.at,
            _ => 1,
        };
        self.instead(count, "")
    }
}
