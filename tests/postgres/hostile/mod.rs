//! A server with traps, poolers, and files that say something else: what is somebody else's has no effect.

mod composed;
mod guard;
mod network;
mod pooler;
