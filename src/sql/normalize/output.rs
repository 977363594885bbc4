//! Writes normalized text: spaces between tokens, and `$n` for literals.

use super::slot::{Slot, SlotSource};
use crate::sql::lex::lexer::{Token, TokenKind};

/// The kind of the last token written; spacing and meaning depend on it.
#[derive(Clone, Copy, PartialEq)]
pub enum Last {
    Start,
    Word { capital: bool },
    Value,
    Open,
    Close,
    Dot,
    Cast,
    Comma,
    Operator,
}

/// Normalized text so far.
pub struct Output<'a> {
    pub text: String,
    /// `slots[0]` stands behind `$1`.
    pub slots: Vec<Slot<'a>>,
    pub last: Last,
}

impl<'a> Output<'a> {
    pub fn with_capacity(bytes: usize) -> Output<'a> {
        Output { text: String::with_capacity(bytes), slots: Vec::new(), last: Last::Start }
    }

    /// An operand must come next, so a minus is a sign.
    pub fn expects_operand(&self) -> bool {
        match self.last {
            Last::Value | Last::Close | Last::Dot => false,
            Last::Word { capital } => capital,
            Last::Start | Last::Open | Last::Cast | Last::Comma | Last::Operator => true,
        }
    }

    /// Writes `$n` for a literal or parameter that stood for so many elements.
    pub fn value(&mut self, token: Token<'a>, negative: bool, elements: usize) {
        let source = match token.kind {
            TokenKind::Parameter => SlotSource::Parameter(token.text[1..].parse().unwrap_or(0)),
            _ => SlotSource::Constant { token, negative },
        };
        self.slots.push(Slot { source, elements });
        let number = self.slots.len();
        self.emit(&format!("${number}"), Last::Value);
    }

    /// Writes a token, with a space before it where one belongs.
    pub fn emit(&mut self, text: &str, last: Last) {
        if self.needs_space(last) {
            self.text.push(' ');
        }
        self.text.push_str(text);
        self.last = last;
    }

    fn needs_space(&self, next: Last) -> bool {
        match (self.last, next) {
            (Last::Start | Last::Open | Last::Dot | Last::Cast, _) => false,
            // Two operators must not grow together into a third.
            (Last::Operator, Last::Cast) => true,
            (_, Last::Comma | Last::Close | Last::Dot | Last::Cast) => false,
            // A call binds to its name; a keyword stands off.
            (Last::Word { capital }, Last::Open) => capital,
            (Last::Value | Last::Close, Last::Open) => false,
            _ => true,
        }
    }
}
