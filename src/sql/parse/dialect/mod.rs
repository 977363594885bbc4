//! Rewrites PostgreSQL syntax that `sqlparser` cannot read, or misreads, into syntax that it reads.
//!
//! In: tokens. Out: a text for the parser, with the same tables, predicates and order. All else stays as it was.
//! Never: a text that is shown to anybody, or executed.

pub(crate) mod calls;
pub(crate) mod clauses;
pub(crate) mod targets;
pub(crate) mod values;

use crate::sql::lex::keyword::is_shown_in_capitals;
use crate::sql::lex::lexer::{Token, TokenKind};

/// The tokens as a text for the parser.
pub fn help(list: &[Token<'_>]) -> String {
    let mut helper = Helper { list, at: 0, out: String::new(), frames: vec![Frame::default()] };
    helper.run();
    helper.out
}

/// Reserved words that are a value of their own, or end one.
const VALUES: &[&str] = &[
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "end",
    "false",
    "interval",
    "localtime",
    "localtimestamp",
    "null",
    "session_user",
    "system_user",
    "true",
    "user",
];

/// The text between one pair of parentheses, or outside of all.
#[derive(Default)]
struct Frame {
    inside: Inside,
    /// Words are left out until an expression begins again.
    skipping: bool,
    /// In the list of assignments behind `SET`.
    assigning: bool,
    /// Another `)` closes what a rule opened, in front of the token at this place.
    closes_at: Option<usize>,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Inside {
    #[default]
    Plain,
    /// Arguments of a function of SQL/JSON, SQL/XML or of another with words between its arguments.
    Call,
    /// `ROWS FROM (…)`.
    RowsFrom,
    GroupingSets,
    /// Columns of an `INSERT`.
    Columns,
}

struct Helper<'t, 'a> {
    list: &'t [Token<'a>],
    at: usize,
    out: String,
    frames: Vec<Frame>,
}

impl<'t, 'a> Helper<'t, 'a> {
    fn run(&mut self) {
        while self.at < self.list.len() {
            let at = self.at;
            if self.frame().closes_at.take_if(|closes_at| *closes_at == at).is_some() {
                self.push(")");
            }
            let helped = self.call()
                || self.clause()
                || self.table()
                || self.typed_constant()
                || self.operand()
                || self.target();
            if !helped {
                self.copy();
            }
        }
    }

    /// The token as it is.
    fn copy(&mut self) {
        let token = self.list[self.at];
        match token.text {
            "(" => {
                let inside = self.opens();
                self.frames.push(Frame { inside, ..Frame::default() });
            }
            ")" if self.frames.len() > 1 => {
                self.frames.pop();
            }
            _ => {}
        }
        self.push(token.text);
        self.at += 1;
    }

    fn frame(&mut self) -> &mut Frame {
        self.frames.last_mut().expect("the outermost frame is never popped")
    }

    fn inside(&self) -> Inside {
        self.frames.last().map_or(Inside::Plain, |frame| frame.inside)
    }

    fn push(&mut self, text: &str) {
        if !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(text);
    }

    /// Writes `text` in the place of the next `count` tokens.
    fn instead(&mut self, count: usize, text: &str) -> bool {
        if !text.is_empty() {
            self.push(text);
        }
        self.at += count;
        true
    }

    fn peek(&self, ahead: usize) -> Option<Token<'a>> {
        self.list.get(self.at + ahead).copied()
    }

    fn before(&self, back: usize) -> Option<Token<'a>> {
        self.at.checked_sub(back).map(|at| self.list[at])
    }

    fn word(&self, ahead: usize, word: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is_word(word))
    }

    fn word_of(&self, ahead: usize, words: &[&str]) -> bool {
        self.peek(ahead).is_some_and(|token| is_one_of(token, words))
    }

    fn mark(&self, ahead: usize, mark: &str) -> bool {
        self.peek(ahead).is_some_and(|token| token.is(mark))
    }

    fn after(&self, words: &[&str]) -> bool {
        self.before(1).is_some_and(|token| is_one_of(token, words))
    }

    fn after_mark(&self, mark: &str) -> bool {
        self.before(1).is_some_and(|token| token.is(mark))
    }

    /// These words come next, one after the other.
    fn words(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word(ahead, word))
    }

    /// One past the bracket that closes the one at `open`.
    fn close_of(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for (at, token) in self.list.iter().enumerate().skip(open) {
            match token.text {
                "(" | "[" => depth += 1,
                ")" | "]" => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return at + 1;
                    }
                }
                _ => {}
            }
        }
        self.list.len()
    }

    /// An expression ends before the token at hand, so an operator here stands between two operands.
    fn is_after_operand(&self) -> bool {
        self.before(1).is_some_and(|token| match token.kind {
            TokenKind::Word => {
                let word = token.text.to_lowercase();
                !is_shown_in_capitals(&word) || VALUES.contains(&word.as_str())
            }
            TokenKind::QuotedIdent
            | TokenKind::String
            | TokenKind::Number
            | TokenKind::Parameter => true,
            TokenKind::Punctuation => matches!(token.text, ")" | "]"),
            // `t.* = u.*`
            TokenKind::Operator => token.text == "*" && self.before(2).is_some_and(|t| t.is(".")),
        })
    }
}

fn is_one_of(token: Token<'_>, words: &[&str]) -> bool {
    words.iter().any(|word| token.is_word(word))
}

/// A name that needs no quotes, or one with quotes.
fn is_name(token: Token<'_>) -> bool {
    match token.kind {
        TokenKind::QuotedIdent => true,
        TokenKind::Word => !is_shown_in_capitals(&token.text.to_lowercase()),
        _ => false,
    }
}
