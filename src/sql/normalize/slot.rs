//! Where each `$n` of a normalized text came from.

use crate::model::workload::literal::Literal;
use crate::sql::lex::lexer::Token;
use crate::sql::lex::literal::{unquote, word};

/// The origin of one `$n`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slot<'a> {
    pub source: SlotSource<'a>,
    /// Elements of the list that shrank to this position; 1 for a scalar.
    pub elements: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SlotSource<'a> {
    /// A literal in the text, or one of the words `TRUE`, `FALSE` and `NULL`.
    Constant { token: Token<'a>, negative: bool },
    /// `$n` in the text as sent, from 1.
    Parameter(usize),
}

impl Slot<'_> {
    /// The value, with `parameters` as they came with the execution; `None` when it is not known.
    pub fn value(&self, parameters: &[Literal]) -> Option<Literal> {
        match self.source {
            SlotSource::Parameter(number) => parameters.get(number.checked_sub(1)?).cloned(),
            SlotSource::Constant { token, negative } => {
                Some(word(token.text).unwrap_or_else(|| {
                    let value = unquote(token.text.as_bytes(), negative);
                    Literal::text(String::from_utf8_lossy(&value))
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::normalize::normalizer::normalize;

    #[test]
    fn values_come_from_the_text_or_from_the_parameters() {
        let normalized = normalize("SELECT 1 WHERE a = $2 AND b = 'it''s' AND c = $1");
        let parameters = [Literal::text("one"), Literal::text("two")];
        let values: Vec<_> = normalized.slots.iter().map(|slot| slot.value(&parameters)).collect();
        assert_eq!(values[1], Some(Literal::text("two")));
        assert_eq!(values[2], Some(Literal::text("it's")));
        assert_eq!(values[3], Some(Literal::text("one")));
    }
}
