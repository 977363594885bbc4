//! The maths of measuring: quantiles, resampling, verdicts. Pure, and no other module of the crate.

pub mod bootstrap;
pub mod quantile;
pub mod random;
pub mod verdict;
