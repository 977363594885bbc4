//! Against PostgreSQL's own parser: which statements are the same, which are understood, and which
//! tables they name.
//!
//! `tests/oracle/make.py` asks libpg_query and writes what it says; the answers about PostgreSQL's
//! regression tests and about the logs here are in `tests/data/oracle`. Others are compared with
//!
//! ```sh
//! python3 tests/oracle/make.py FILE... > answers.jsonl
//! PGASSAY_ORACLE=answers.jsonl cargo test --test oracle -- --nocapture
//! ```
//!
//! `PGASSAY_ORACLE_SHOW=refused|tables|joined|parted|unexplained` lists the statements behind a figure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use pgassay::sql::lex::lexer::{Token, TokenKind, tokens};
use pgassay::sql::normalize::fingerprint::fingerprint;
use pgassay::sql::normalize::normalizer::normalize;
use pgassay::sql::resolve::resolver;
use serde::Deserialize;

/// What libpg_query says of one statement.
#[derive(Deserialize)]
struct Answer {
    kind: String,
    fingerprint: String,
    tables: BTreeSet<String>,
    sql: String,
}

/// What we say of it.
struct Ours {
    normalized: String,
    fingerprint: u64,
    /// Tables, or why there are none.
    tables: Result<BTreeSet<String>, String>,
}

fn answers(path: &Path) -> Vec<Answer> {
    let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let reader: Box<dyn BufRead> = match path.extension().is_some_and(|e| e == "zst") {
        true => Box::new(std::io::BufReader::new(zstd::Decoder::new(file).unwrap())),
        false => Box::new(std::io::BufReader::new(file)),
    };
    reader.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect()
}

fn ours(sql: &str) -> Ours {
    let normalized = normalize(sql).text;
    let tables = resolver::shape(&normalized, None)
        .map(|shape| shape.scans.into_iter().map(|scan| scan.table.name).collect())
        .map_err(|error| error.to_string());
    Ours { fingerprint: fingerprint(&normalized).0, tables, normalized }
}

/// Pairs of statements that are the same for both, for us alone, for the oracle alone.
#[derive(Default)]
struct Pairs {
    both: usize,
    ours: usize,
    theirs: usize,
    /// Of the oracle's alone, those that [`CONSTANTS`] and each of [`LOOSER`] explains.
    explained: Vec<usize>,
    /// Of the oracle's alone, those that nothing explains.
    unexplained: usize,
}

/// Pairs of statements with the same key.
fn same(all: &[(Answer, Ours)], key: impl Fn(&Answer, &Ours) -> String) -> usize {
    let mut sizes: HashMap<String, usize> = HashMap::new();
    all.iter().for_each(|(answer, ours)| *sizes.entry(key(answer, ours)).or_default() += 1);
    sizes.values().map(|size| size * (size - 1) / 2).sum()
}

fn pairs(all: &[(Answer, Ours)]) -> Pairs {
    let both = same(all, |answer, ours| format!("{} {:x}", answer.fingerprint, ours.fingerprint));
    let theirs = same(all, |answer, _| answer.fingerprint.clone()) - both;
    let reaches = (0..=LOOSER.len()).map(|steps| {
        same(all, |answer, ours| match answer.tables.is_empty() {
            true => answer.fingerprint.clone(),
            false if steps == 0 => format!("{} {:x}", answer.fingerprint, ours.fingerprint),
            false => format!("{} {}", answer.fingerprint, looser(&ours.normalized, steps)),
        })
    });
    let mut reached = both;
    let explained = reaches.map(|now| now - std::mem::replace(&mut reached, now)).collect();
    Pairs {
        both,
        ours: same(all, |_, ours| format!("{:x}", ours.fingerprint)) - both,
        theirs,
        explained,
        unexplained: both + theirs - reached,
    }
}

const CONSTANTS: &str = "types in statements without a table: SELECT 1::int is SELECT date 'today'";
/// What libpg_query leaves out of its fingerprint and we do not, one after the other.
const LOOSER: &[&str] = &[
    "types of constants: $1::int and date $1 are $1",
    "digits in names: orders_2026 is orders",
    "labels: SELECT a AS b is SELECT a",
    "order and repetition in lists: f($1, $2), (b, a) and (a, b) are one",
    "schemas, DEFAULT, parentheses that group, and the difference of a = $1 and a IN ($1)",
];

/// Our text with the first `steps` of these left out as well.
fn looser(normalized: &str, steps: usize) -> String {
    let list: Vec<Token<'_>> = tokens(normalized).collect();
    let mut words: Vec<String> = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let token = list[at];
        let before = words.last().map(String::as_str);
        let is_type = token.kind == TokenKind::Word
            && list.get(at + 1).is_some_and(|next| {
                next.kind == TokenKind::Parameter && token.text.chars().all(|c| !c.is_uppercase())
            });
        if steps > 0 && (is_type || token.is_word("interval")) {
            at += 1;
        } else if steps > 0 && token.is("::") && matches!(before, Some("$" | "]")) {
            at += 2;
            while list.get(at).is_some_and(|next| matches!(next.text, "[" | "]" | ".")) {
                at += if list[at].is(".") { 2 } else { 1 };
            }
        } else if steps > 2 && token.is_word("as") && !list.get(at + 1).is_some_and(|n| n.is("(")) {
            at += 2;
        } else {
            // `public.tag` is `tag`; a query in parentheses is the query.
            let left_out = token.is("(") || token.is(")") || token.is_word("as");
            if steps > 4 && left_out {
                at += 1;
                continue;
            }
            if steps > 4 && token.is(".") {
                words.pop();
                at += 1;
                continue;
            }
            words.push(match token.kind {
                TokenKind::Word if steps > 4 && token.is_word("in") => "=".to_owned(),
                TokenKind::Word if steps > 4 && token.is_word("default") => "$".to_owned(),
                TokenKind::Parameter => "$".to_owned(),
                TokenKind::Word | TokenKind::QuotedIdent if steps > 1 => {
                    token.text.replace(|c: char| c.is_ascii_digit(), "")
                }
                _ => token.text.to_owned(),
            });
            at += 1;
        }
    }
    if steps > 3 { unordered(&mut words.iter().map(String::as_str)) } else { words.join(" ") }
}

/// Elements between commas once each and sorted, lists inside of lists first.
fn unordered(words: &mut dyn Iterator<Item = &str>) -> String {
    let (mut out, mut elements, mut element) = (String::new(), BTreeSet::new(), String::new());
    loop {
        let word = words.next();
        match word {
            Some("(" | "[") => element = format!("{element} ({})", unordered(words)),
            Some(",") => {
                elements.insert(std::mem::take(&mut element));
            }
            Some(word) if !word.chars().all(|c| c.is_ascii_uppercase()) => {
                element = format!("{element} {word}");
            }
            ends => {
                elements.insert(std::mem::take(&mut element));
                let list: Vec<String> = std::mem::take(&mut elements).into_iter().collect();
                out.push_str(&list.join(","));
                match ends {
                    None | Some(")" | "]") => return out,
                    Some(keyword) => out.push_str(keyword),
                }
            }
        }
    }
}

struct Score {
    statements: usize,
    understood: usize,
    same_tables: usize,
    pairs: Pairs,
    /// Statements that stand in the same company for both.
    same_company: usize,
}

fn score(all: &[(Answer, Ours)]) -> Score {
    let mut of_ours: HashMap<u64, BTreeSet<usize>> = HashMap::new();
    let mut of_theirs: HashMap<&str, BTreeSet<usize>> = HashMap::new();
    for (at, (answer, ours)) in all.iter().enumerate() {
        of_ours.entry(ours.fingerprint).or_default().insert(at);
        of_theirs.entry(&answer.fingerprint).or_default().insert(at);
    }
    let same_company = all
        .iter()
        .filter(|(a, o)| of_ours[&o.fingerprint] == of_theirs[a.fingerprint.as_str()])
        .count();
    Score {
        statements: all.len(),
        understood: all.iter().filter(|(_, o)| o.tables.is_ok()).count(),
        same_tables: all.iter().filter(|(a, o)| o.tables.as_ref() == Ok(&a.tables)).count(),
        pairs: pairs(all),
        same_company,
    }
}

fn pct(part: usize, whole: usize) -> f64 {
    100.0 * part as f64 / whole.max(1) as f64
}

fn print(name: &str, all: &[(Answer, Ours)], score: &Score) {
    let mut out = format!("\n{name}: {} statements\n", score.statements);
    let mut kinds: BTreeMap<&str, (usize, usize, usize)> = BTreeMap::new();
    for (answer, ours) in all {
        let kind = kinds.entry(&answer.kind).or_default();
        kind.0 += 1;
        kind.1 += usize::from(ours.tables.is_ok());
        kind.2 += usize::from(ours.tables.as_ref() == Ok(&answer.tables));
    }
    for (kind, (count, understood, tables)) in kinds {
        writeln!(
            out,
            "  {kind:7} {count:6}  understood {:6.2} %  same tables {:6.2} %",
            pct(understood, count),
            pct(tables, understood)
        )
        .unwrap();
    }
    let Pairs { both, ours, theirs, .. } = score.pairs;
    writeln!(out, "  understood        {:6.2} %", pct(score.understood, score.statements)).unwrap();
    writeln!(out, "  same tables       {:6.2} %", pct(score.same_tables, score.understood))
        .unwrap();
    writeln!(out, "  same company      {:6.2} %", pct(score.same_company, score.statements))
        .unwrap();
    let possible = all.len() * (all.len() - 1) / 2;
    let agreed = pct(possible - ours - theirs, possible);
    writeln!(out, "  of all pairs, called the same or different by both {agreed:.3} %").unwrap();
    writeln!(
        out,
        "  pairs called the same by both {both}, by us alone {ours}, by it alone {theirs}"
    )
    .unwrap();
    for (what, pairs) in std::iter::once(&CONSTANTS).chain(LOOSER).zip(&score.pairs.explained) {
        writeln!(out, "    {pairs:8} since it leaves out {what}").unwrap();
    }
    writeln!(out, "    {:8} for other reasons", score.pairs.unexplained).unwrap();
    eprintln!("{out}");
}

/// The statements behind a figure, for whoever looks into a difference.
fn show(all: &[(Answer, Ours)], what: &str) {
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    match what {
        "refused" => {
            for (answer, ours) in all {
                if let Err(why) = &ours.tables {
                    eprintln!("{why}\n    {}", line(&answer.sql));
                }
            }
        }
        "tables" => {
            for (answer, ours) in all {
                if let Ok(tables) = &ours.tables
                    && *tables != answer.tables
                {
                    eprintln!("{tables:?} {:?}\n    {}", answer.tables, line(&answer.sql));
                }
            }
        }
        _ => {
            let key = |(answer, ours): &(Answer, Ours)| match what {
                "joined" => (ours.normalized.clone(), answer.fingerprint.clone()),
                "parted" => (answer.fingerprint.clone(), ours.normalized.clone()),
                _ => (answer.fingerprint.clone(), looser(&ours.normalized, LOOSER.len())),
            };
            let mut groups: BTreeMap<String, BTreeMap<String, &str>> = BTreeMap::new();
            for one in all {
                let (outer, inner) = key(one);
                groups.entry(outer).or_default().entry(inner).or_insert(&one.0.sql);
            }
            for (outer, inner) in groups.into_iter().filter(|(_, inner)| inner.len() > 1) {
                eprintln!("{outer}");
                inner.values().for_each(|sql| eprintln!("    {}", line(sql)));
            }
        }
    }
}

fn compared(path: &Path) -> (Vec<(Answer, Ours)>, Score) {
    // As `analyze` does: a parser needs a deep stack.
    let path = path.to_owned();
    let worker = std::thread::Builder::new().stack_size(64 << 20).spawn(move || {
        answers(&path)
            .into_iter()
            .map(|answer| {
                let ours = ours(&answer.sql);
                (answer, ours)
            })
            .collect::<Vec<_>>()
    });
    let all = worker.unwrap().join().unwrap();
    let score = score(&all);
    (all, score)
}

fn files() -> Vec<PathBuf> {
    if let Some(file) = std::env::var_os("PGASSAY_ORACLE") {
        return vec![file.into()];
    }
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/oracle");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(".jsonl"));
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn statements_are_understood_as_by_the_parser_of_postgresql() {
    for path in files() {
        let (all, score) = compared(&path);
        print(&path.file_name().unwrap().to_string_lossy(), &all, &score);
        if let Ok(what) = std::env::var("PGASSAY_ORACLE_SHOW") {
            show(&all, &what);
            continue;
        }
        let Pairs { ours, theirs, both, unexplained, .. } = score.pairs;
        let possible = all.len() * (all.len() - 1) / 2;
        assert!(pct(score.understood, score.statements) >= 99.5);
        assert!(pct(score.same_tables, score.understood) >= 99.9);
        assert!(pct(possible - ours - theirs, possible) >= 99.5);
        // What we join and it parts is worse than the other way round.
        assert!(pct(ours, both + ours) <= 1.5);
        assert!(pct(unexplained, possible) <= 0.01);
    }
}

/// Where the server's scanner begins and ends tokens, in bytes.
#[derive(Deserialize)]
struct Scanned {
    sql: String,
    tokens: Vec<usize>,
}

/// `tests/oracle/make_tokens.py` asks libpg_query about statements with carriage returns, comments, strings that go on
/// and characters of several bytes in them.
#[test]
fn tokens_begin_and_end_where_the_server_has_them() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/lexer/tokens18.jsonl.zst");
    let file = std::fs::File::open(file).unwrap();
    let lines = std::io::BufReader::new(zstd::Decoder::new(file).unwrap()).lines();
    let (mut texts, mut different) = (0, Vec::new());
    for line in lines {
        let Scanned { sql, tokens: theirs } = serde_json::from_str(&line.unwrap()).unwrap();
        let mut expected: Vec<(usize, usize)> = Vec::new();
        for pair in theirs.chunks(2) {
            let (start, length) = (pair[0], pair[1]);
            let text = &sql[start..start + length];
            let follows = |known: &(usize, usize)| {
                known.0 + known.1 == start && matches!(&sql[known.0..start], "n" | "N")
            };
            match (text, expected.last_mut()) {
                // N'…' is a word and a string for the server, and `..` one token.
                (text, Some(last)) if text.starts_with('\'') && follows(last) => last.1 += length,
                ("..", _) => expected.extend([(start, 1), (start + 1, 1)]),
                _ => expected.push((start, length)),
            }
        }
        let ours: Vec<(usize, usize)> =
            tokens(&sql).map(|token| (token.start, token.text.len())).collect();
        if ours != expected {
            different.push(format!("{sql:?}\n  ours   {ours:?}\n  server {expected:?}"));
        }
        texts += 1;
    }
    assert!(texts > 5_000, "{texts}");
    assert!(
        different.is_empty(),
        "{} differ:\n{}",
        different.len(),
        different[..different.len().min(8)].join("\n")
    );
}
