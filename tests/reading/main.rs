//! Reading: formats, blocks, databases, captures, and inputs that fuzzing found.

mod blocks;
mod capture;
mod corpus;
mod databases;
mod formats;
