//! Connections, refusals, and the server that the tests start.

mod analyze;
mod connections;
mod databases;
mod pipeline;
mod refusals;
mod throwaway;
