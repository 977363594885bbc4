//! `pgassay.toml`: read from the nearest directory upward, below flags and environment.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::exit::Failure;

/// Every key with its default, as `generate config` prints it. A test reads it back.
pub const TEMPLATE: &str = "\
# pgassay.toml: the nearest one upward from here. Flags and environment win over it.

[connection]
# host = \"localhost\"
# port = 5432
# user = \"profiler\"
# dbname = \"shop\"
# sslmode = \"prefer\"
# A password has no place here: use PGPASSWORD, ~/.pgpass or a service file.

[analyze]
# Rules that stay silent.
ignore = []

[trial]
# Rounds of each trial; before, after and control run in each.
rounds = 20
# Seconds of replay for each recommendation.
time-budget = 20.0
";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub connection: Connection,
    #[serde(default)]
    pub analyze: Analyze,
    #[serde(default)]
    pub trial: Trial,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
    pub dbname: Option<String>,
    pub sslmode: Option<String>,
    pub sslrootcert: Option<String>,
    pub service: Option<String>,
    password: Option<toml::Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Analyze {
    #[serde(default)]
    pub ignore: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Trial {
    pub rounds: usize,
    pub time_budget: f64,
}

impl Default for Trial {
    fn default() -> Self {
        Trial { rounds: 20, time_budget: 20.0 }
    }
}

/// Finds and reads the configuration; none is no error.
///
/// # Errors
/// When it cannot be read, has unknown keys, names unknown rules, or holds a password.
pub fn load() -> Result<Config, Failure> {
    let named = std::env::var_os("PGASSAY_CONFIG").map(PathBuf::from);
    let found = named.clone().or_else(|| {
        let here = std::env::current_dir().ok()?;
        here.ancestors().map(|folder| folder.join("pgassay.toml")).find(|file| file.is_file())
    });
    let Some(path) = found else { return Ok(Config::default()) };
    let text = std::fs::read_to_string(&path).map_err(|error| {
        Failure::usage(format!("cannot read {}", path.display()), error.to_string())
    })?;
    parse(&text, &path)
}

fn parse(text: &str, path: &Path) -> Result<Config, Failure> {
    let what = format!("cannot use {}", path.display());
    let config: Config = toml::from_str(text).map_err(|error| {
        let line = error
            .span()
            .map_or(0, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
        Failure::usage(&what, format!("line {line}: {}", error.message()))
            .with_help("pgassay generate config prints every key")
    })?;
    if config.connection.password.is_some() {
        return Err(Failure::usage(what, "it holds a password, and others can read it")
            .with_help("use PGPASSWORD, ~/.pgpass or a service file"));
    }
    for rule in &config.analyze.ignore {
        if !crate::rules::RULES.iter().any(|known| known.id == rule) {
            return Err(Failure::usage(what, format!("analyze.ignore: {rule:?} is no rule"))
                .with_help("pgassay explain lists the rules"));
        }
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_configuration_with_the_defaults() {
        let config = parse(TEMPLATE, Path::new("pgassay.toml")).unwrap();
        assert_eq!(
            (config.trial.rounds, config.trial.time_budget),
            (Trial::default().rounds, Trial::default().time_budget)
        );
    }

    #[test]
    fn unknown_keys_and_passwords_are_refused() {
        for bad in [
            "[trial]\nround = 3\n",
            "[connection]\npassword = \"x\"\n",
            "[analyze]\nignore = [\"nope\"]\n",
        ] {
            assert!(parse(bad, Path::new("pgassay.toml")).is_err(), "{bad}");
        }
    }
}
