//! SQL text to tokens: the lexer, keywords, identifiers and literals.
//!
//! In: any text. Out: tokens that cover every byte of it.
//! Never: an error. Text that is no SQL is tokens too.

pub(crate) mod cursor;
pub mod identifier;
pub mod keyword;
pub mod lexer;
pub mod literal;
