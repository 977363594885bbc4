//! Loops: how many are found in labelled logs, and that chance makes none.

mod chance;
mod labelled;
