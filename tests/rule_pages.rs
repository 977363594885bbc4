//! A rule's page is its test: the example on the page gives exactly the findings on the page.

use std::collections::BTreeSet;
use std::path::Path;

use pgassay::rules::RULES;
use pgassay::rules::input::Input;
use pgassay::rules::rule::Rule;
use pgassay::source::collect::collector::Collector;
use pgassay::source::collect::resolve_all::resolve_all;
use pgassay::sql;

const SECTIONS: [&str; 5] =
    ["## What it finds", "## Why it costs", "## Example", "## What to do", "## When to ignore it"];

/// The contents of the first fenced block that opens with `label`.
fn block<'p>(page: &'p str, label: &str) -> Option<&'p str> {
    let open = format!("```{label}\n");
    let start = page.find(&open)? + open.len();
    Some(&page[start..start + page[start..].find("```")?])
}

fn findings_of(rule: &Rule) -> Vec<String> {
    let (catalog, coverage) =
        sql::dump::catalog::catalog(block(rule.page, "sql schema").unwrap_or(""));
    assert_eq!(coverage.skipped, [], "{}: the schema of the page must parse", rule.id);
    let mut collector = Collector::new();
    if let Some(log) = block(rule.page, "log") {
        pgassay::source::read(log.as_bytes(), "page", &Default::default(), &mut collector).unwrap();
    }
    let mut workload = collector.finish();
    resolve_all(&mut workload, Some(&catalog));
    let input = Input::new(&workload, Some(&catalog));
    let mut found: Vec<String> = (rule.find)(&input)
        .iter()
        .map(|finding| {
            // A fingerprint in an id says nothing to a reader.
            let id = if finding.id.contains('(') || finding.id.contains('.') {
                &finding.id
            } else {
                rule.id
            };
            format!("{id} {} {}", finding.level.word(), finding.message)
        })
        .collect();
    found.sort();
    found
}

#[test]
fn the_example_on_a_page_gives_the_findings_on_the_page() {
    for rule in RULES {
        let expected =
            block(rule.page, "findings").unwrap_or_else(|| panic!("{}: no findings", rule.id));
        let expected: Vec<&str> = expected.lines().collect();
        assert_eq!(findings_of(rule), expected, "{}", rule.id);
    }
}

#[test]
fn every_page_has_its_sections_in_order() {
    for rule in RULES {
        assert!(rule.page.starts_with(&format!("# {}\n", rule.id)), "{}: heading", rule.id);
        let places: Vec<_> = SECTIONS.iter().map(|section| rule.page.find(section)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{}: {places:?}",
            rule.id
        );
    }
}

/// Names of the pages below a folder.
fn pages(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            names.insert(path.file_stem().unwrap().to_str().unwrap().replace('_', "-"));
        }
    }
}

#[test]
fn the_registry_is_the_directory() {
    let mut names = BTreeSet::new();
    pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/rules"), &mut names);
    let registered: BTreeSet<String> = RULES.iter().map(|rule| rule.id.to_owned()).collect();
    assert_eq!(names, registered);
}
