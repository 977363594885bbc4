//! End to end, on a real server that the tests start themselves.
//!
//! Without a server's programs these tests say so loudly and pass; with `PGASSAY_REQUIRE_POSTGRES=1`
//! they fail. CI sets it.

mod advice;
mod analyze;
mod apply;
mod batched;
mod candidates;
mod check;
mod columns;
mod connections;
mod databases;
mod defects;
mod demo;
mod expressions;
mod members;
mod metering;
mod operators;
mod partitions;
mod parts;
mod policies;
mod refusals;
mod sizes;
mod support;
mod throwaway;
mod trial;
mod verify;
