//! Statistics of measurements: quantiles, resampling, verdicts, and random numbers that repeat.
//!
//! In: numbers. Out: numbers with their intervals.
//! Never: a clock, a random source of the system, or another module of the crate.

pub mod bootstrap;
pub mod quantile;
pub mod random;
pub mod verdict;
