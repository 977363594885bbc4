//! Trials, checks and `apply`: what is measured, and what is changed.

mod apply;
mod check;
mod demo;
mod trial;
mod verify;
mod writes;
