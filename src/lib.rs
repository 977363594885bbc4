//! Finds the Postgres queries that hurt, recommends the index, and proves it by replay.
//!
//! ```text
//!  source ─► Workload ─► rules ─► Finding ─► advice ─► Recommendation ─► trial ─► Verdict ─► Run ─► report
//!               ▲                    ▲                       ▲             │
//!               │                 Catalog ◄──── pg ──────────┴─────────────┘
//!              sql (text to meaning)
//!
//!  tier 4   cli ─────── may use everything; alone has println!, env, exit codes
//!  tier 3   trial, check, apply ───► pg
//!  tier 2   source   rules   advice   report
//!  tier 1   sql
//!  tier 0   model   stats          (no crate:: imports)
//! ```
//!
//! `analyze` stops after advice, `trial` goes through, `check` compares two measurements; `report` and
//! `apply` start at a stored run. `tests/layering.rs` holds the tiers.

pub mod access;
pub mod advice;
pub mod apply;
pub mod check;
pub mod cli;
pub mod index;
pub mod model;
pub mod pg;
pub mod pipeline;
pub mod report;
pub mod rules;
pub mod source;
pub mod sql;
pub mod stats;
pub mod trial;
