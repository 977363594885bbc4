//! Text to meaning. The only module that names `sqlparser`.
//!
//! The lexer and the normalizer are our own and work on any text; the parser is asked once for each
//! distinct statement, and a statement that it cannot read still has a fingerprint.

mod aggregate;
mod alternatives;
pub mod batch;
mod batch_rows;
pub mod constant;
mod contents;
pub mod ddl;
mod dump;
mod dumped_index;
mod exclusion;
pub mod fallible;
pub mod fingerprint;
mod functions;
mod help;
pub mod ident;
pub mod immutable;
pub mod implied;
pub mod index_ddl;
mod index_marks;
pub mod keyword;
pub mod lexer;
pub mod normalize;
pub mod operators;
pub mod parse;
pub mod parted;
mod partitions;
pub mod predicate;
pub mod redact;
mod relations;
pub mod resolve;
pub mod rewrite;
pub mod safety;
pub mod scope;
pub mod skeleton;
pub mod spelling;
pub mod ties;
mod utility;
mod words;
mod writes;
