//! SQL text to meaning.
//!
//! In: text, and the catalog where there is one. Out: tokens, normalized text, shapes, statements made from statements.
//! Never: a server. No other module names `sqlparser`; each distinct statement is parsed once, and one that cannot be
//! parsed still has a fingerprint.

pub mod condition;
pub mod dump;
pub mod expression;
pub mod lex;
pub mod normalize;
pub mod parse;
pub mod resolve;
pub mod rewrite;
