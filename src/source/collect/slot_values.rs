//! The values of one execution, from its parameters or from its text.

use std::borrow::Cow;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::literal_map::{From, LiteralPlace};
use crate::model::workload::literal::Literal;
use crate::model::workload::timeline::{SlotHash, uuid_hash};
use crate::source::message::parameters::Parameter;
use crate::sql::lex::literal::unquote;
use crate::sql::normalize::literal_scan::LiteralSpan;

/// The value at one position of one execution.
pub enum Value<'a> {
    Null,
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    pub fn hash(&self) -> u64 {
        match self {
            Value::Null => 0,
            Value::Bytes(bytes) => xxh3_64(bytes),
        }
    }

    /// Hash by which values are compared, `hash` being that of its bytes: the same for a UUID however it is written.
    pub fn slot_hash(&self, hash: u64) -> SlotHash {
        match self {
            Value::Null => SlotHash::NULL,
            Value::Bytes(bytes) => SlotHash::scalar(uuid_hash(bytes).unwrap_or(hash)),
        }
    }

    pub fn literal(&self) -> Literal {
        match self {
            Value::Null => Literal::NULL,
            Value::Bytes(bytes) => Literal::text(String::from_utf8_lossy(bytes)),
        }
    }
}

/// The source of the values of one execution.
pub struct Values<'a> {
    pub text: &'a [u8],
    pub literals: &'a [LiteralSpan],
    pub parameters: &'a [Parameter],
    pub detail: &'a [u8],
}

impl<'a> Values<'a> {
    fn parameter(&self, number: u32) -> Option<Value<'a>> {
        let parameter = self.parameters.get((number as usize).checked_sub(1)?)?;
        Some(parameter.bytes(self.detail).map_or(Value::Null, Value::Bytes))
    }

    pub fn at(&self, slot: &LiteralPlace) -> Option<Value<'a>> {
        match &slot.from {
            From::Parameter(number) => self.parameter(*number),
            From::Literal { ordinal, negative } => {
                let token = self.literals.get(*ordinal as usize)?.of(self.text);
                Some(Value::Bytes(unquote(token, *negative)))
            }
            From::Fixed(value) => Some(match value.expose() {
                None => Value::Null,
                Some(text) => Value::Bytes(Cow::Owned(text.as_bytes().to_vec())),
            }),
        }
    }

    /// Hash of all elements of a list.
    pub fn list_hash(&self, slot: &LiteralPlace) -> u64 {
        match &slot.from {
            From::Parameter(number) => {
                (*number..*number + slot.elements).fold(0, |hash, number| {
                    let element = self.parameter(number).map_or(0, |value| value.hash());
                    xxh3_64_with_seed(&element.to_le_bytes(), hash)
                })
            }
            From::Literal { ordinal, .. } => {
                let first = *ordinal as usize;
                let last = first + slot.elements as usize - 1;
                match (self.literals.get(first), self.literals.get(last)) {
                    (Some(first), Some(last)) => {
                        xxh3_64(&self.text[first.start..last.end.max(first.start)])
                    }
                    _ => 0,
                }
            }
            From::Fixed(_) => 0,
        }
    }
}
