pub mod model;
pub mod pg;
pub mod rules;
pub mod source;
pub mod sql;
pub mod stats;
