//! The house rules that the compiler does not hold: who may import whom, and who may touch the world.

use std::path::{Path, PathBuf};

/// Module, and the modules it may name. As drawn in `src/lib.rs` and `docs/ARCHITECTURE.md`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stats", &[]),
    ("sql", &["model"]),
    ("index", &["model", "sql"]),
    ("access", &["model", "sql"]),
    ("source", &["model", "sql"]),
    ("rules", &["model", "sql", "index"]),
    ("advice", &["model", "sql", "index", "access"]),
    ("report", &["model", "stats"]),
    ("pg", &["model", "sql", "index"]),
    ("trial", &["model", "stats", "sql", "index", "pg"]),
    ("check", &["model", "stats", "trial", "pg"]),
    ("apply", &["model", "sql", "index", "pg"]),
    (
        "cli",
        &[
            "model", "stats", "sql", "index", "access", "source", "rules", "advice", "report",
            "pg", "trial", "check", "apply",
        ],
    ),
];

/// Words that only some modules may use, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("println!", &["cli"], "only the command line prints"),
    ("eprintln!", &["cli"], "only the command line prints"),
    ("process::exit", &["cli"], "only the command line knows exit codes"),
    ("std::env::", &["cli"], "only the command line reads the environment"),
    ("sqlparser::", &["sql"], "only sql knows the parser"),
    ("tokio", &["pg", "trial", "cli"], "only pg and those above it talk to a server"),
    ("Instant::now", &["pg", "trial", "apply", "cli"], "time is an argument"),
    ("SystemTime", &["cli"], "time is an argument"),
    ("Timestamp::now", &["cli"], "time is an argument"),
    ("std::fs", &["pg", "check", "cli"], "rules, advice and report see plain data"),
    ("thread_rng", &[], "randomness comes from the seed"),
];

/// Broken rules in one file, as `path:line: sentence`.
fn violations(path: &str, text: &str) -> Vec<String> {
    let module = path.split('/').next().unwrap_or("").trim_end_matches(".rs");
    let allowed = ALLOWED.iter().find(|(name, _)| *name == module).map(|(_, allowed)| *allowed);
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or("");
        let mut say =
            |sentence: String| found.push(format!("src/{path}:{}: {sentence}", number + 1));
        if let Some(allowed) = allowed {
            for part in code.split("crate::").skip(1) {
                let name: String =
                    part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if name != module && !allowed.contains(&name.as_str()) {
                    say(format!("{module} may not use {name}"));
                }
            }
        }
        for (word, modules, why) in RESERVED {
            // `std::env!` and friends are other things; `env!("…")` is read by the compiler.
            if code.contains(word) && !modules.contains(&module) {
                say(format!("{word} in {module}: {why}"));
            }
        }
    }
    found
}

fn rust_files(directory: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, out);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            out.push(path);
        }
    }
}

fn source_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    rust_files(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned(), text)
        })
        .collect()
}

#[test]
fn every_module_names_only_those_below_it() {
    let found: Vec<String> =
        source_files().iter().flat_map(|(path, text)| violations(path, text)).collect();
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

#[test]
fn every_module_has_its_place_in_the_table() {
    let mut modules: Vec<String> = source_files()
        .iter()
        .filter_map(|(path, _)| path.split_once('/').map(|(module, _)| module.to_owned()))
        .collect();
    modules.dedup();
    let mut listed: Vec<&str> = ALLOWED.iter().map(|(module, _)| *module).collect();
    listed.sort_unstable();
    assert_eq!(modules, listed);
}

#[test]
fn a_broken_rule_is_named_with_file_and_line() {
    let text = "use crate::model::run::Run;\nuse crate::pg::connect::Connection;\nfn f() { println!(\"x\"); }\n";
    assert_eq!(
        violations("rules/bad.rs", text),
        [
            "src/rules/bad.rs:2: rules may not use pg",
            "src/rules/bad.rs:3: println! in rules: only the command line prints",
        ]
    );
    assert_eq!(violations("cli/good.rs", text), Vec::<String>::new());
    assert_eq!(violations("sql/bad.rs", "let now = Instant::now();").len(), 1);
}

#[test]
fn the_architecture_page_shows_the_same_table() {
    let page =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md"))
            .unwrap();
    for (module, allowed) in ALLOWED {
        let list = if *module == "cli" { "everything".to_owned() } else { allowed.join(", ") };
        let row = format!("| `{module}` | {} |", if list.is_empty() { "nothing" } else { &list });
        assert!(page.contains(&row), "docs/ARCHITECTURE.md lacks the row {row}");
    }
}
