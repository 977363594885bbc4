//! What holds for every text, not only for those we thought of.

use std::fmt::Write;

use pgassay::index::ddl::{BuildMode, create, name};
use pgassay::model::index::{AccessMethod, IndexDef, IndexKey};
use pgassay::model::name::TableName;
use pgassay::source::collect::collector::Collector;
use pgassay::source::format::framer::Options;
use pgassay::source::read;
use pgassay::sql::lex::lexer;
use pgassay::sql::normalize::normalizer::normalize;
use pgassay::sql::normalize::redact;
use pgassay::sql::parse::parser;
use pgassay::sql::resolve::resolver;
use proptest::prelude::*;

/// Pieces that SQL is made of, whole and broken.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "SELECT", "FROM", "WHERE", "AND", "OR", "IN", "(", ")", ",", "=", "ORDER BY", "GROUP BY", "LIMIT", "NULL",
            "TRUE", "IS", "NOT", "::", "int", "VALUES", "ARRAY[", "]", ".", ";", "-", "+", "--", "/*", "*/", "'", "\"", "$",
            "$1", "$tag$", "E'", "interval", "ONLY", "FOR UPDATE", "numeric(10,2)", "AS", "CASE", "WHEN", "END", "||", "->>",
        ])
        .prop_map(str::to_owned),
        2 => "[a-z_]{1,8}",
        2 => "[0-9]{1,6}(\\.[0-9]{1,3})?",
        2 => "'[^']{0,12}'",
        1 => "\"[A-Za-z ]{1,8}\"",
        1 => "\\PC{0,6}",
    ]
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..40).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    // 256 cases each; PROPTEST_CASES=100000 looks harder.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn normalizing_a_normalized_text_changes_nothing(sql in soup()) {
        let once = normalize(&sql).text;
        prop_assert_eq!(normalize(&once).text, once);
    }

    #[test]
    fn no_text_makes_any_reader_of_sql_panic(sql in "\\PC{0,200}") {
        prop_assert!(lexer::tokens(&sql).all(|token| !token.text.is_empty()));
        let normalized = normalize(&sql);
        let _ = parser::parse(&normalized.text);
        let _ = resolver::shape(&normalized.text, None);
        let _ = redact::redact(&sql);
        let _ = redact::redact_message(&sql, "42601");
        let _ = pgassay::sql::dump::catalog::catalog(&sql);
    }

    #[test]
    fn a_fingerprint_knows_nothing_of_literals(number in any::<u32>(), text in "[^'\\\\]{0,20}", length in 1usize..20) {
        let list = vec![number.to_string(); length].join(", ");
        let literal = format!("SELECT a FROM t WHERE b = {number} AND c = '{text}' AND d IN ({list}) LIMIT {number}");
        let bound = "select a from t where b = $1 and c = $2 and d in ($3) limit $4";
        prop_assert_eq!(normalize(&literal).text, normalize(bound).text);
    }

    #[test]
    fn no_literal_survives_normalizing(secret in "[a-z]{12}", number in 100_000_000u64..999_999_999) {
        let sql = format!("SELECT a FROM t WHERE b = '{secret}' AND c = {number} AND d IN ('{secret}', '{secret}') -- {secret}");
        let text = normalize(&sql).text;
        prop_assert!(!text.contains(&secret) && !text.contains(&number.to_string()), "{}", text);
        let redacted = redact::redact(&format!("((b = '{secret}'::text) AND (c > {number}))"));
        prop_assert!(!redacted.contains(&secret) && !redacted.contains(&number.to_string()));
    }

    #[test]
    fn no_bytes_make_any_reader_of_logs_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), kind in 0usize..5) {
        let heads: [&[u8]; 5] = [
            b"2026-01-01 10:00:00.000 UTC [1] a@b LOG:  duration: 1 ms  statement: SELECT 1\n",
            b"2026-01-01 10:00:00.000 UTC,\"a\",\"b\",1,\"x\",c.1,1,\"\",2026-01-01 10:00:00 UTC,1/1,0,LOG,00000,\"duration: 1 ms  statement: SELECT 1\",,,,,,,,,\"\"\n",
            b"{\"timestamp\":\"2026-01-01 10:00:00.000 UTC\",\"error_severity\":\"LOG\",\"message\":\"duration: 1 ms  statement: SELECT 1\"}\n",
            b"query,calls,total_exec_time\nSELECT 1,1,1\n",
            b"[{\"query\":\"SELECT 1\",\"calls\":1}",
        ];
        let input = [heads[kind], &bytes, heads[kind]].concat();
        let mut collector = Collector::new();
        if read(&input[..], "soup", &Options::default(), &mut collector).is_ok() {
            let workload = collector.finish();
            prop_assert!(workload.coverage.understood <= workload.coverage.statements);
        }
    }

    #[test]
    fn a_log_cut_anywhere_loses_at_most_what_was_cut(cut in 0usize..2_000) {
        let mut log = String::new();
        for n in 0..20 {
            let _ = writeln!(log, "2026-01-01 10:00:{n:02}.000 UTC [1] a@b LOG:  duration: 1.000 ms  statement: SELECT a FROM t WHERE b = {n}");
        }
        let cut = cut.min(log.len());
        let mut collector = Collector::new();
        if read(&log.as_bytes()[..cut], "cut", &Options::default(), &mut collector).is_ok() {
            let whole_lines = log[..cut].matches('\n').count() as u64;
            let counted = collector.finish().coverage.statements;
            prop_assert!(counted >= whole_lines && counted <= whole_lines + 1, "{counted} of {whole_lines}");
        }
    }

    #[test]
    fn ddl_of_ours_parses_whatever_the_names(
        table in "\\PC{1,20}", columns in prop::collection::vec("\\PC{1,20}", 1..4), descending in any::<bool>()
    ) {
        // A name with a NUL cannot exist on a server.
        prop_assume!(!table.contains('\0') && !columns.iter().any(|column| column.contains('\0')));
        let keys = columns
            .iter()
            .map(|column| IndexKey { descending, nulls_first: descending, ..IndexKey::column(column.as_str()) })
            .collect();
        let plan = IndexDef {
            table: TableName::new("public", table.as_str()),
            method: AccessMethod::Btree,
            keys,
            include: Vec::new(),
            predicate: None,
        };
        let made = name(&plan);
        prop_assert!(made.len() <= 63);
        let sql = create(&plan, &made, BuildMode::Concurrently);
        prop_assert!(parser::parse(&sql).is_ok(), "{}", sql);
    }
}
