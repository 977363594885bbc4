//! Splits a dump into the statements that are about tables.

use crate::sql::lex::lexer::tokens;

/// Statements with the line each begins at. psql's backslash lines and the data of `COPY` are left
/// out; `BEGIN ATOMIC` bodies stay in one piece.
pub(super) fn statements(dump: &str) -> Vec<(usize, String)> {
    let mut cleaned = String::with_capacity(dump.len());
    let mut in_copy = false;
    for line in dump.split_inclusive('\n') {
        let trimmed = line.trim_end();
        if in_copy {
            in_copy = trimmed != "\\.";
            cleaned.push('\n');
        } else if line.starts_with('\\') {
            cleaned.push('\n');
        } else if line.starts_with("COPY ") && trimmed.to_lowercase().ends_with("from stdin;") {
            in_copy = true;
            cleaned.push('\n');
        } else {
            cleaned.push_str(line);
        }
    }
    let mut found = Vec::new();
    let (mut start, mut atomic, mut previous) = (None, 0usize, "");
    for token in tokens(&cleaned) {
        let begin = *start.get_or_insert(token.start);
        let opens = (token.is_word("atomic") && previous.eq_ignore_ascii_case("begin"))
            || (atomic > 0 && token.is_word("case"));
        if opens {
            atomic += 1;
        } else if atomic > 0 && token.is_word("end") {
            atomic -= 1;
        } else if token.is(";") && atomic == 0 {
            let line = cleaned[..begin].matches('\n').count() + 1;
            found.push((line, cleaned[begin..token.start].to_owned()));
            start = None;
        }
        previous = token.text;
    }
    if let Some(begin) = start {
        let line = cleaned[..begin].matches('\n').count() + 1;
        found.push((line, cleaned[begin..].to_owned()));
    }
    found
}

/// Says something about tables that we use. The rest of a dump (owners, comments, functions, …) is
/// neither understood nor missed.
pub(super) fn is_relevant(text: &str) -> bool {
    let words: Vec<String> = tokens(text).take(6).map(|token| token.text.to_lowercase()).collect();
    let word = |n: usize| words.get(n).map(String::as_str).unwrap_or("");
    match word(0) {
        "create" => {
            let rest = &words[1..];
            !rest
                .iter()
                .any(|w| w == "function" || w == "trigger" || w == "procedure" || w == "sequence")
                && ["table", "index", "policy", "view", "extension", "domain"]
                    .iter()
                    .any(|what| rest.iter().any(|w| w == what))
        }
        "alter" => {
            const KEPT: &[&str] = &["constraint", "security", "column"];
            word(1) == "table"
                && tokens(text).any(|token| KEPT.iter().any(|kept| token.is_word(kept)))
                && !tokens(text)
                    .any(|t| t.is_word("generated") || t.is_word("attach") || t.is_word("default"))
        }
        "grant" => tokens(text).any(|t| t.is_word("table")) || word(2) == "on",
        _ => false,
    }
}
