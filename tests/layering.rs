//! The house rules that the compiler does not hold: who may import whom, and who may touch the world.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Module, and the modules it may name. As drawn in `src/lib.rs` and `docs/ARCHITECTURE.md`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("stats", &[]),
    ("sql", &["model"]),
    ("index", &["model", "sql"]),
    ("access", &["model", "sql"]),
    ("source", &["model", "sql"]),
    ("rules", &["model", "sql", "index", "access"]),
    ("advice", &["model", "sql", "index", "access"]),
    ("report", &["model", "stats"]),
    ("pg", &["model", "sql", "index"]),
    ("trial", &["model", "stats", "sql", "index", "pg"]),
    ("check", &["model", "stats", "trial", "pg"]),
    ("apply", &["model", "sql", "index", "pg"]),
    (
        "pipeline",
        &[
            "model", "stats", "sql", "index", "access", "source", "rules", "advice", "report",
            "pg", "trial",
        ],
    ),
    (
        "cli",
        &[
            "model", "stats", "sql", "index", "access", "source", "rules", "advice", "report",
            "pg", "trial", "check", "apply", "pipeline",
        ],
    ),
];

/// The folders of each room, lowest first: a file may name files of its own folder and of those before it, and the
/// files that lie beside the folders as long as no circle comes of it.
const FOLDERS: &[(&str, &[&str])] = &[
    (
        "sql",
        &[
            "lex",
            "normalize",
            "parse/dialect",
            "parse",
            "resolve",
            "expression",
            "condition",
            "rewrite",
            "dump",
        ],
    ),
    ("source", &["prefix", "message", "collect", "format", "input"]),
    (
        "rules",
        &[
            "loops/detect",
            "loops",
            "indexes",
            "statements",
            "access",
            "access/policy",
            "access/coverage",
            "access/beside",
            "access/speed",
        ],
    ),
    ("advice", &["candidates", "cost", "select", "explain"]),
    ("pg", &["config", "wire", "connect", "session/guard", "session", "catalog", "planner"]),
    ("trial", &["plan", "run", "writes"]),
    ("report", &["summary", "format", "handover"]),
    ("model", &["workload", "access"]),
    ("cli", &["command", "demo"]),
];

/// The one circle of files: a sub-query in FROM is resolved like the statement around it.
const CIRCLE: [&str; 2] = ["sql/resolve/from_clause", "sql/resolve/resolver"];

/// Words that only some modules may use, and why.
const RESERVED: &[(&str, &[&str], &str)] = &[
    ("println!", &["cli"], "only the command line prints"),
    ("eprintln!", &["cli"], "only the command line prints"),
    ("process::exit", &["cli"], "only the command line knows exit codes"),
    ("std::env::", &["cli"], "only the command line reads the environment"),
    ("sqlparser::", &["sql"], "only sql knows the parser"),
    ("tokio", &["pg", "trial", "cli"], "only pg and those above it talk to a server"),
    ("Instant::now", &["pg", "trial", "apply", "pipeline", "cli"], "time is an argument"),
    ("SystemTime", &["cli"], "time is an argument"),
    ("Timestamp::now", &["cli"], "time is an argument"),
    ("std::fs", &["pg", "check", "pipeline", "cli"], "rules, advice and report see plain data"),
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

/// Paths of modules that a file names, from the crate's root, as far as `modules` go.
fn named(module: &str, text: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect();
    let mut paths = Vec::new();
    let mut rest = code.as_str();
    while let Some(at) = rest.find(|c: char| c.is_alphabetic() || c == '_') {
        let end = rest[at..].find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
        let word = &rest[at..end.map_or(rest.len(), |end| at + end)];
        rest = &rest[at + word.len()..];
        if !word.contains("::") {
            continue;
        }
        match word.strip_suffix("::").filter(|_| rest.starts_with('{')) {
            Some(prefix) => rest = grouped(prefix, &rest[1..], &mut paths),
            None => paths.push(word.to_owned()),
        }
    }
    let absolute = |path: &String| -> Option<String> {
        let mut base: Vec<&str> = module.split('/').collect();
        let mut parts: Vec<&str> = path.split("::").collect();
        match parts[0] {
            "crate" => base.clear(),
            "super" | "self" => {}
            first if modules.contains(&format!("{module}/{first}")) => {}
            _ => return None,
        }
        while ["crate", "super", "self"].contains(parts.first()?) {
            if parts.remove(0) == "super" {
                base.pop();
            }
        }
        base.extend(parts);
        (1..=base.len())
            .rev()
            .map(|length| base[..length].join("/"))
            .find(|path| modules.contains(path))
    };
    paths.iter().filter_map(absolute).filter(|path| path != module).collect()
}

/// The members of a `{ … }` of a `use`, after its opening brace; returns what follows the closing one.
fn grouped<'t>(prefix: &str, text: &'t str, paths: &mut Vec<String>) -> &'t str {
    let mut rest = text;
    loop {
        let end = rest.find(['{', '}', ',']).unwrap_or(rest.len());
        let member = rest[..end].trim();
        match rest[end..].chars().next() {
            Some('{') => {
                let inner = format!("{prefix}::{}", member.trim_end_matches("::"));
                rest = grouped(&inner, &rest[end + 1..], paths);
            }
            next => {
                if !member.is_empty() {
                    paths.push(format!("{prefix}::{member}"));
                }
                rest = rest.get(end + 1..).unwrap_or_default();
                if next != Some(',') {
                    return rest;
                }
            }
        }
    }
}

/// Every file that is a module, and the files that it names.
fn graph() -> BTreeMap<String, BTreeSet<String>> {
    let module = |path: &str| {
        let stem = path.strip_suffix(".rs").unwrap();
        stem.strip_suffix("/mod").unwrap_or(stem).to_owned()
    };
    let files = source_files();
    let modules: BTreeSet<String> = files.iter().map(|(path, _)| module(path)).collect();
    let names = |(path, text): &(String, String)| {
        let module = module(path);
        let named = named(&module, text, &modules);
        (module, named)
    };
    files.iter().map(names).collect()
}

/// Everything that leads back to where it starts.
fn circles(graph: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let reaches = |from: &String| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(at) = next.pop() {
            next.extend(graph.get(at).into_iter().flatten().filter(|to| seen.insert(*to)));
        }
        seen.contains(from)
    };
    graph.keys().filter(|from| reaches(from)).cloned().collect()
}

#[test]
fn files_name_each_other_in_no_circle_but_one() {
    assert_eq!(circles(&graph()), CIRCLE);
}

/// The folder of a file as [`FOLDERS`] has it, or the file itself where it lies beside the folders.
fn unit(module: &str) -> String {
    let Some((room, inside)) = module.split_once('/') else { return module.to_owned() };
    let folders = FOLDERS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, all)| all);
    let within = |folder: &&&str| inside == **folder || inside.starts_with(&format!("{folder}/"));
    let folder = folders.iter().filter(within).max_by_key(|folder| folder.len());
    folder.map_or(module.to_owned(), |folder| format!("{room}/{folder}"))
}

#[test]
fn every_folder_names_only_those_before_it() {
    let mut units: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut upwards = Vec::new();
    for (file, named) in graph() {
        for other in named {
            let (own, theirs) = (unit(&file), unit(&other));
            if own == theirs {
                continue;
            }
            let place = |unit: &str| {
                let (room, folder) = unit.split_once('/')?;
                let (_, all) = FOLDERS.iter().find(|(name, _)| *name == room)?;
                Some((room.to_owned(), all.iter().position(|known| *known == folder)?))
            };
            if let (Some((room, own)), Some((of, theirs))) = (place(&own), place(&theirs))
                && room == of
                && theirs > own
            {
                upwards.push(format!("{file} names {other}"));
            }
            units.entry(own).or_default().insert(theirs);
        }
    }
    assert_eq!(upwards, [""; 0]);
    assert_eq!(circles(&units), [""; 0]);
}

#[test]
fn every_folder_has_its_place_and_says_what_may_not_happen() {
    let folders: BTreeSet<String> = source_files()
        .iter()
        .filter_map(|(path, _)| path.rsplit_once('/').map(|(folder, _)| folder.to_owned()))
        .collect();
    for folder in &folders {
        let page = std::fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(folder).join("mod.rs"),
        )
        .unwrap();
        for word in ["//! In: ", "Out: ", "//! Never: "] {
            assert!(page.contains(word), "src/{folder}/mod.rs lacks {word:?}");
        }
        if let Some((room, inside)) = folder.split_once('/') {
            let known = FOLDERS.iter().find(|(name, _)| *name == room);
            assert!(
                known.is_some_and(|(_, all)| all.contains(&inside)),
                "{folder} has no place in FOLDERS"
            );
        }
    }
}

#[test]
fn a_circle_and_what_names_what_are_seen() {
    let modules = ["a", "a/b", "a/b/c", "d"].map(str::to_owned).into();
    let text = "use super::c::{X, Y};\nuse crate::{d::{self, e}, a};\n// crate::a::b\nfn f() {}\n";
    let found = named("a/b/x", text, &modules);
    assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "a/b/c", "d"]);
    let arrows = [("a", "b"), ("b", "c"), ("c", "b"), ("d", "a")];
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in arrows {
        graph.entry(from.to_owned()).or_default().insert(to.to_owned());
    }
    assert_eq!(circles(&graph), ["b", "c"]);
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
