//! Text to meaning. The only module that names `sqlparser`.
//!
//! The lexer and the normalizer are our own and work on any text; the parser is asked once for each
//! distinct statement, and a statement that it cannot read still has a fingerprint.

pub mod dump;
pub mod expression;
pub mod lex;
pub mod normalize;
pub mod parse;
pub mod resolve;
pub mod rewrite;
