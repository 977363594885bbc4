//! What the target `guard` does: a statement is composed of its bytes and given to the guard. Where the guard
//! permits, it is planned and executed on a server whose functions report that they were called.

use pgassay::model::workload::literal::Literal;
use pgassay::pg::connect::caller::Caller;
use pgassay::pg::connect::connection::Connection;
use pgassay::pg::error::{PgError, PgErrorKind};
use pgassay::pg::session::guard::statement::Guard;

/// The SQLSTATE with which a function of the server reports.
pub const REPORT: &str = "TR4P0";

const FROM: &[&str] = &[
    "goods g",
    "goods AS g",
    "public.goods g",
    "only goods g",
    "\"goods\" g",
    "U&\"\\0067oods\" g",
    "owned g",
    "kept g",
    "killing g",
    "counting g",
    "goods g, outside",
    "goods g, kept k",
    "(SELECT * FROM goods) g",
    "goods g JOIN owned o USING (id)",
    "goods g, LATERAL (SELECT % AS n) l",
    "goods g, trap(1) t",
    "goods g, safe(1) t",
    "goods g, ROWS FROM (trap(1), safe(2)) t",
    "goods g CROSS JOIN LATERAL generate_series(1, %::int) s",
    "goods g TABLESAMPLE system (10)",
    "goods g, current_schema s",
];

/// `%` is another expression.
const EXPRESSIONS: &[&str] = &[
    "1",
    "g.id",
    "seller",
    "g",
    "NULL",
    "'a'",
    "E'\\''",
    "U&'\\0061'",
    "$$ --$$",
    "$t$'$t$",
    "-1",
    "g.*",
    "(g).id",
    "true",
    "trap(%)",
    "safe(%)",
    "\"MixedTrap\"(%)",
    "\"MixedSafe\"(%)",
    "MixedTrap(%)",
    "TRAP(%)",
    "\"trap\"(%)",
    "U&\"\\0074rap\"(%)",
    "U&\"!0074rap\" UESCAPE '!' (%)",
    "public.trap(%)",
    "public . \"trap\" (%)",
    "trap /* ( */ (%)",
    "trap(i => %)",
    "safe(i := %)",
    "trap(VARIADIC ARRAY[1])",
    "lies(1)",
    "lies(%)",
    "by_default(%)",
    "by_constant(%)",
    "loud(%)",
    "quiet(%)",
    "loud(DISTINCT g.id)",
    "quiet(g.id) FILTER (WHERE trap(1))",
    "loud(g.id) OVER ()",
    "quiet(g.id) OVER (ORDER BY %)",
    "g.trapped",
    "g.saved",
    "(g).trapped",
    "(g).saved",
    "trapped(g)",
    "(SELECT x.trapped FROM goods x LIMIT 1)",
    "(ROW(g.*)::goods).trapped",
    "%::checked",
    "%::positive",
    "%::code",
    "%::text",
    "CAST(% AS checked)",
    "CAST(% AS public.positive)",
    "checked '1'",
    "positive '1'",
    "'{1}'::checked[]",
    "'(1)'::code",
    "checked(1)",
    "text(%)",
    "% === %",
    "% <<< %",
    "% OPERATOR(public.===) %",
    "% OPERATOR(public . <<<) %",
    "% = %",
    "g.id === ANY (ARRAY[1])",
    "% AND %",
    "NOT %",
    "(%)",
    "(SELECT %)",
    "EXISTS (SELECT 1 FROM owned WHERE %)",
    "ARRAY[%]",
    "CASE WHEN % THEN % END",
    "COALESCE(%, %)",
    "% IN (%, 2)",
    "% IS NULL",
    "% BETWEEN % AND %",
    "row_number() OVER (ORDER BY %)",
    "(WITH w AS (SELECT %) SELECT 1 FROM w)",
    "nextval('s')",
    "set_config('a.b', '1', false)",
    "pg_sleep(0)",
    "lo_creat(1)",
    "txid_current()",
    "now()",
    "lower(%::text)",
    "query_to_xml('SELECT trap(1)', true, true, '')",
    "pg_terminate_backend(1)",
    "format('%s', %)",
    "xmlelement(name a, %)",
    "extract(year FROM now())",
    "% COLLATE \"C\"",
    "$1",
    "pg_notify('a', 'b')",
    "(TABLE killing LIMIT 1)",
    "to_jsonb(g)",
    "g.id::regclass",
    "current_setting('a.b', true)",
    "% IS DISTINCT FROM %",
    "min(%) FILTER (WHERE % = 1)",
    "max((g).seller)",
    "% ~ 'a'",
    "% LIKE 'a%'",
    "grouping(%)",
    "% AT TIME ZONE 'UTC'",
];

const STATEMENTS: &[&str] = &[
    "SELECT % FROM @ WHERE %",
    "SELECT % FROM @ WHERE seller = 7 AND %",
    "SELECT % FROM @",
    "SELECT id FROM @ WHERE seller = % ORDER BY % LIMIT 5",
    "SELECT DISTINCT ON (%) id FROM @",
    "SELECT count(*) FROM @ GROUP BY % HAVING %",
    "SELECT g.id FROM @ LIMIT %",
    "VALUES (%), (%)",
    "TABLE goods",
    "TABLE owned",
    "TABLE killing",
    "WITH w AS (SELECT % FROM @) SELECT * FROM w",
    "SELECT % FROM @ UNION SELECT %",
    "WITH w AS (DELETE FROM goods g WHERE % RETURNING %) SELECT 1",
    "INSERT INTO goods SELECT % FROM @",
    "UPDATE goods g SET name = %::text WHERE %",
    "DELETE FROM goods g WHERE %",
    "SELECT % INTO t FROM @",
    "EXPLAIN ANALYZE SELECT % FROM @",
    "SELECT 1; SELECT % FROM @",
    "SELECT % FROM @ FOR UPDATE",
    "COPY (SELECT % FROM @) TO STDOUT",
    "CALL trap(%)",
    "DO 'BEGIN PERFORM trap(1); END'",
    "PREPARE p AS SELECT %",
    "EXECUTE p(%)",
    "SET a.b = 'c'",
    "SELECT % FROM @ WINDOW w AS (ORDER BY %)",
    "(SELECT % FROM @)",
    "SELECT ALL % FROM @ WHERE % OFFSET %",
    "LOCK goods",
    "CREATE TABLE t AS SELECT % FROM @",
];

/// What may stand between two tokens.
const SPACES: &[&str] = &[
    " ",
    "  ",
    "\n",
    "\t",
    "\r",
    "\u{c}",
    " \u{b}",
    "/**/",
    "/* /* */ trap( */",
    "--\n",
    "-- '\n",
    "--\r",
    "--\"\r\n",
    "/*'*/",
    " /* -- */ ",
];

/// Composes a statement; the same of the same bytes.
pub fn statement(data: &[u8]) -> String {
    let mut bytes = data.iter().copied();
    let mut next = |of: usize| usize::from(bytes.next().unwrap_or(0)) % of;
    let mut out = String::new();
    compose(STATEMENTS[next(STATEMENTS.len())], 3, &mut next, &mut out);
    out
}

fn compose(form: &str, depth: usize, next: &mut impl FnMut(usize) -> usize, out: &mut String) {
    let mut characters = form.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            // A leaf where it goes too deep.
            '%' if characters.peek() != Some(&'\'') && characters.peek() != Some(&'s') => {
                let of = if depth == 0 { 14 } else { EXPRESSIONS.len() };
                compose(EXPRESSIONS[next(of)], depth.saturating_sub(1), next, out);
            }
            '@' => compose(FROM[next(FROM.len())], depth.saturating_sub(1), next, out),
            // Mostly a blank: a comment in each place is rarely a statement.
            ' ' => match next(8) {
                0 => out.push_str(SPACES[next(SPACES.len())]),
                _ => out.push(' '),
            },
            other => out.push(other),
        }
    }
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    LeftOut,
    /// The server refused it.
    Refused,
    Executed,
}

/// Gives a statement to the guard, and to the server where the guard permits.
///
/// # Panics
/// Where a function of the server reports that it was called.
pub fn check(connection: &Connection, guard: &mut Guard, text: &str) -> Outcome {
    let caller = Caller::new(None, "public");
    let reports = |step: &str, error: &PgError| {
        assert_ne!(error.sqlstate.as_deref(), Some(REPORT), "{step} of {text:?}: {error}");
        assert_ne!(error.kind, PgErrorKind::Interrupted, "{step} of {text:?}");
    };
    if guard.check_plan(connection, &caller, text).is_ok() {
        // Planned and not executed; what is no statement to be planned, EXPLAIN refuses.
        let planned = connection.as_workload(&caller, |workload| {
            let statement = workload.prepare(&format!("EXPLAIN {text}"))?;
            workload.rows(&statement, &vec![Literal::NULL; statement.params().len()])
        });
        if !text.trim_start().to_ascii_uppercase().starts_with("ANALYZE") {
            planned.err().iter().for_each(|error| reports("the plan", error));
        }
    }
    if guard.check(connection, &caller, text).is_err() {
        return Outcome::LeftOut;
    }
    let executed = connection.as_workload(&caller, |workload| {
        let statement = workload.prepare(text)?;
        workload.rows(&statement, &vec![Literal::NULL; statement.params().len()])
    });
    match executed {
        Ok(_) => Outcome::Executed,
        Err(error) => {
            reports("the execution", &error);
            Outcome::Refused
        }
    }
}
