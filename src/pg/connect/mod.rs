//! Connections: sessions, callers, poolers and cancellation.
//!
//! In: `Settings`. Out: a `Connection` that one thread owns.
//! Never: a statement of the workload outside of `InWorkload`.

pub mod caller;
pub mod cancel;
pub mod connection;
pub mod parameter;
pub mod pooler;
