//! Row-level security: what is found in a database, and whether it is so.

mod audit;
mod derive;
