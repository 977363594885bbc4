//! The pages in docs: links lead somewhere, sentences are short, and each page of the method has an example.

use std::path::{Path, PathBuf};

/// Longest sentence, words.
const MOST_WORDS: usize = 30;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn pages() -> Vec<PathBuf> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for folder in ["docs", "docs/method"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.retain(|page| page.extension().is_some_and(|extension| extension == "md"));
    pages.sort();
    pages
}

/// The sentences of a page, without code and tables. A list item or a heading ends a sentence.
fn sentences(text: &str) -> Vec<String> {
    let (mut sentences, mut current, mut is_code) = (Vec::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
            continue;
        }
        let line = line.trim();
        let begins = line.is_empty()
            || ["#", "|", "- ", "<"].iter().any(|mark| line.starts_with(mark))
            || line.split_once(". ").is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        if begins {
            sentences.push(std::mem::take(&mut current));
        }
        if is_code || line.starts_with(['|', '#', '<']) {
            continue;
        }
        current.push(' ');
        current.push_str(line.trim_start_matches("- "));
    }
    sentences.push(current);
    sentences.iter().flat_map(|text| text.split_inclusive(&['.', '!', '?', ';'][..])).fold(
        Vec::new(),
        |mut joined: Vec<String>, part| {
            // A dot inside of a word or a number ends nothing.
            match joined.last_mut() {
                Some(last) if !last.is_empty() && !part.starts_with([' ', '\n']) => {
                    last.push_str(part);
                }
                _ => joined.push(part.to_owned()),
            }
            joined
        },
    )
}

/// Words of a sentence; code counts as one word.
fn words(sentence: &str) -> usize {
    let mut is_code = false;
    let plain: String = sentence
        .chars()
        .filter_map(|c| match c {
            '`' => {
                is_code = !is_code;
                is_code.then_some('x')
            }
            c => (!is_code).then_some(c),
        })
        .collect();
    plain.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count()
}

#[test]
fn sentences_are_short() {
    // The pages of the command line and of the rules are generated.
    let generated = ["cli.md", "rules.md"];
    let mut long = Vec::new();
    for page in pages() {
        if generated.iter().any(|name| page.ends_with(name)) {
            continue;
        }
        let text = std::fs::read_to_string(&page).unwrap();
        let name = page.strip_prefix(root()).unwrap().display().to_string();
        for sentence in sentences(&text) {
            let count = words(&sentence);
            if count > MOST_WORDS {
                long.push(format!("{name}: {count} words: {}", sentence.trim()));
            }
        }
    }
    assert!(long.is_empty(), "\n{}", long.join("\n"));
}

#[test]
fn links_lead_to_files() {
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap();
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let target = page.parent().unwrap().join(file);
            assert!(target.exists(), "{}: {link}", page.display());
        }
    }
}

#[test]
fn every_page_of_the_method_has_an_example() {
    for page in pages().iter().filter(|page| page.parent().unwrap().ends_with("method")) {
        let text = std::fs::read_to_string(page).unwrap();
        assert!(text.contains("\n## Example"), "{}", page.display());
    }
}

#[test]
fn a_long_sentence_is_seen() {
    let text = "One two. `a b c` four 1.5 six\n\n- item\n| a | b |\n```\ncode\n```\n";
    let found: Vec<usize> = sentences(text).iter().map(|sentence| words(sentence)).collect();
    assert_eq!(found.iter().sum::<usize>(), 2 + 4 + 1, "{:?}", sentences(text));
    assert_eq!(found.iter().max(), Some(&4));
}
