//! The baseline of a check: plans, buffers and shortest times. The file holds parameters: mode 0600.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::model::workload::Sample;
use crate::model::workload::literal::Literal;

/// Raised only when an older reader would misread the file.
pub const VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    pub pgassay_baseline: u32,
    pub created_at: Option<String>,
    pub server_version: Option<String>,
    pub database: Option<String>,
    /// Estimated rows of each table, to tell growth from regression.
    pub table_rows: BTreeMap<String, f64>,
    /// Shortest time of each statement that reads no table of the user, microseconds: how fast the
    /// machine was. Empty in a baseline that was written before there were such statements.
    #[serde(default)]
    pub machine_us: Vec<f64>,
    pub queries: Vec<BaselineQuery>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BaselineQuery {
    pub fingerprint: String,
    pub normalized: String,
    pub tables: Vec<String>,
    /// Roles that executed it, as far as the source named them.
    #[serde(default)]
    pub users: Vec<String>,
    pub samples: Vec<StoredSample>,
    /// Empty when the statement could not be measured; `why_not` says why.
    pub measured: Vec<Measured>,
    pub why_not: Option<String>,
}

/// A statement with its parameters, in the clear.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredSample {
    pub text: String,
    pub parameters: Vec<Option<String>>,
}

/// Prints nothing of what it holds.
impl std::fmt::Debug for StoredSample {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "StoredSample({} parameters)", self.parameters.len())
    }
}

/// The cost of one parameter set of a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Hash of the plan's shape, hexadecimal.
    pub plan: String,
    /// Nodes, relations and indexes in words.
    pub plan_text: String,
    pub buffers: u64,
    pub rows_scanned: u64,
    pub rows: u64,
    /// Shortest of several executions in fresh sessions, microseconds.
    pub floor_us: f64,
}

impl StoredSample {
    pub fn from_sample(sample: &Sample) -> Self {
        StoredSample {
            text: sample.text.to_string(),
            parameters: sample.parameters.iter().map(|p| p.expose().map(str::to_owned)).collect(),
        }
    }

    pub fn to_sample(&self) -> Sample {
        let literal =
            |value: &Option<String>| value.as_deref().map_or(Literal::NULL, Literal::text);
        Sample {
            text: self.text.as_str().into(),
            parameters: self.parameters.iter().map(literal).collect(),
        }
    }
}

/// The text of the file.
///
/// # Errors
/// When a figure cannot be written as JSON.
pub fn render(baseline: &Baseline) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(baseline)?;
    text.push('\n');
    Ok(text)
}

/// Reads the file.
///
/// # Errors
/// A sentence when it is no baseline, or of a later version.
pub fn read(path: &Path) -> Result<Baseline, String> {
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|error| error.to_string())?;
    // The message of the parser may quote the file; its place is enough.
    let baseline: Baseline = serde_json::from_str(&text).map_err(|error| {
        format!("line {}, column {}: it is no baseline", error.line(), error.column())
    })?;
    if baseline.pgassay_baseline != VERSION {
        return Err(format!(
            "it has version {}, this program reads {VERSION}",
            baseline.pgassay_baseline
        ));
    }
    Ok(baseline)
}
