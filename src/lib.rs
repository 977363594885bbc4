pub mod model;
pub mod rules;
pub mod source;
pub mod sql;
pub mod stats;
