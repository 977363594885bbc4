//! A schema dump, or DDL by hand, to a catalog.
//!
//! In: the text of a dump. Out: `model::catalog::Catalog`.
//! Never: failure as a whole. A statement that is not understood is passed over.

pub mod catalog;
pub(crate) mod exclusion;
pub(crate) mod functions;
pub(crate) mod index;
pub(crate) mod index_alter;
pub(crate) mod partitions;
pub(crate) mod privileges;
pub(crate) mod routines;
pub(crate) mod statements;
