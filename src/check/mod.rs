//! The nightly question: did anything get worse since the baseline?

pub mod baseline;
pub mod gate;
pub mod measure;
