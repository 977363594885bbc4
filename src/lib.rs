pub mod model;
pub mod sql;
pub mod stats;
