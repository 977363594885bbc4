//! Migration files, under the names and in the words that a framework's own tool expects.
//!
//! Tools that hand a file of SQL to the server whole put it into one transaction as soon as it holds two
//! statements, and a concurrent build refuses to run in one. So those get a file for each statement; what
//! is a program (Rails, Django) gets one for each recommendation.

use std::cmp::Ordering;
use std::collections::HashSet;

use jiff::ToSpan;
use xxhash_rust::xxh3::xxh3_64;

use super::file::{File, Migration, MigrationPlace};
use super::framework::{django, flyway, plain, prisma, rails};
use super::steps::{Action, Step, backward, forward};
use crate::index::ddl::{blocking, is_concurrent};
use crate::model::run::RunRecommendation;

/// Letters of a name, at most: file systems end at 255 bytes.
const MOST_LETTERS: usize = 100;

/// Whose migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framework {
    /// `….up.sql` and `….down.sql`, as most tools without a language of their own take them.
    Plain,
    Rails,
    Django,
    Prisma,
    Flyway,
}

impl Framework {
    /// Returns the directory of migrations, relative to the project; Django has one in each application.
    pub fn directory(self) -> Option<&'static str> {
        match self {
            Framework::Plain => Some("migrations"),
            Framework::Rails => Some("db/migrate"),
            Framework::Django => None,
            Framework::Prisma => Some("prisma/migrations"),
            Framework::Flyway => Some("src/main/resources/db/migration"),
        }
    }

    /// Its files hold SQL and nothing else.
    fn is_sql(self) -> bool {
        !matches!(self, Framework::Rails | Framework::Django)
    }
}

/// The migration of a recommendation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrationFile {
    pub files: Vec<File>,
    /// Migrations that were there already, by the name of their file.
    pub known: Vec<String>,
}

/// The files that make the recommendations real; `notes` gives the reasons of one, a line each. What the
/// directory has already is not written again.
pub fn migrations(
    framework: Framework,
    recommendations: &[&RunRecommendation],
    notes: &dyn Fn(&RunRecommendation) -> Vec<String>,
    place: &MigrationPlace<'_>,
) -> MigrationFile {
    let mut written = MigrationFile { files: Vec::new(), known: Vec::new() };
    let mut slugs = HashSet::new();
    let mut number = 0;
    let mut before = django::last(place.existing);
    for recommendation in recommendations {
        for migration in parts(framework, recommendation, notes(recommendation)) {
            // Two recommendations need the same extension.
            if !slugs.insert(migration.slug.clone()) {
                continue;
            }
            if let Some(known) = place.existing.iter().find(|e| is_of(&e.name, &migration.slug)) {
                written.known.push(known.name.clone());
                continue;
            }
            let at = place.now.saturating_add(i64::from(number).seconds());
            let stamp = at.strftime("%Y%m%d%H%M%S").to_string();
            number += 1;
            written.files.extend(match framework {
                Framework::Plain => plain::files(&stamp, &migration),
                Framework::Rails => rails::files(&stamp, &migration, place.existing),
                Framework::Prisma => prisma::files(&stamp, &migration),
                Framework::Flyway => flyway::files(&stamp, &migration),
                Framework::Django => {
                    let (name, file) = django::file(&migration, before.as_deref(), place);
                    before = Some(name);
                    vec![file]
                }
            });
        }
    }
    written
}

/// The migrations of one recommendation.
fn parts(
    framework: Framework,
    recommendation: &RunRecommendation,
    notes: Vec<String>,
) -> Vec<Migration> {
    let steps = forward(recommendation, None);
    let Some(main) = steps.iter().position(|step| step.action != Action::Other) else {
        return Vec::new();
    };
    let name = slug(&steps[main]);
    let up: Vec<String> = steps.into_iter().map(|step| step.sql).collect();
    let down: Vec<String> = backward(recommendation).into_iter().map(|step| step.sql).collect();
    if !up.iter().any(|sql| is_concurrent(sql)) {
        // In one transaction, so that it is undone whole or not at all.
        let down = down.iter().map(|sql| blocking(sql)).collect();
        let (up, down) = (impatient(up), impatient(down));
        return vec![Migration { slug: name, notes, up, down, is_concurrent: false }];
    }
    if !framework.is_sql() {
        return vec![Migration { slug: name, notes, up, down, is_concurrent: true }];
    }
    let part = |(at, sql): (usize, String)| Migration {
        slug: match at.cmp(&main) {
            Ordering::Less => words(&sql),
            Ordering::Equal => name.clone(),
            Ordering::Greater => format!("after_{name}"),
        },
        notes: notes.clone(),
        is_concurrent: is_concurrent(&sql),
        up: vec![sql],
        down: if at == main { down.clone() } else { Vec::new() },
    };
    up.into_iter().enumerate().map(part).collect()
}

/// In a transaction and not concurrent, a statement that waits for its lock makes everybody wait behind
/// it: better to give up soon.
fn impatient(statements: Vec<String>) -> Vec<String> {
    if statements.is_empty() {
        return statements;
    }
    std::iter::once("SET LOCAL lock_timeout = '5s'".to_owned()).chain(statements).collect()
}

/// Returns a statement's effect as part of a file name.
fn slug(step: &Step) -> String {
    match &step.action {
        Action::Create { name, .. } => words(&format!("add index {name}")),
        Action::Drop { name, .. } => words(&format!("drop index {name}")),
        Action::Other => words(&step.sql),
    }
}

/// Small letters, digits and underscores; with a hash where letters had to be left out.
fn words(text: &str) -> String {
    let short: String = text.chars().take(MOST_LETTERS).collect();
    let mut words: Vec<String> = short
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    if !text.is_ascii() || short.len() < text.len() {
        words.push(format!("{:08x}", xxh3_64(text.as_bytes()) >> 32));
    }
    words.join("_")
}

/// A file's name, without its number and ending, is this slug.
fn is_of(name: &str, slug: &str) -> bool {
    let stem = name.split('.').next().unwrap_or(name);
    let rest = stem.trim_start_matches(|c: char| c == 'V' || c == 'U' || c.is_ascii_digit());
    rest.trim_start_matches('_') == slug
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::file::Existing;
    use jiff::civil::date;

    fn recommendation(sql: &[&str], undo: &[&str]) -> RunRecommendation {
        RunRecommendation {
            id: "ix".to_owned(),
            kind: "create-index".to_owned(),
            table: None,
            sql: sql.iter().map(|sql| (*sql).to_owned()).collect(),
            undo: undo.iter().map(|sql| (*sql).to_owned()).collect(),
            after: Vec::new(),
            because: Vec::new(),
            state: "accepted".to_owned(),
            requires: None,
            purpose: None,
            why: None,
            cautions: Vec::new(),
            estimated: None,
            takes: None,
            measured: None,
            without: None,
        }
    }

    fn written(
        framework: Framework,
        of: &RunRecommendation,
        existing: &[Existing],
    ) -> MigrationFile {
        let now = date(2026, 1, 31).at(23, 59, 59, 0);
        let place = MigrationPlace { application: "shop", existing, now };
        migrations(framework, &[of], &|_| vec!["why\nnot".to_owned()], &place)
    }

    fn paths(written: &MigrationFile) -> Vec<&str> {
        written.files.iter().map(|file| file.path.as_str()).collect()
    }

    fn existing(name: &str, text: &str) -> Existing {
        Existing { name: name.to_owned(), text: text.to_owned() }
    }

    const TITLE: &[&str] = &[
        "CREATE EXTENSION IF NOT EXISTS pg_trgm",
        "CREATE INDEX CONCURRENTLY \"Order_title_idx\" ON public.\"Order\" (lower(\"Title\"))",
    ];
    const UNDO: &[&str] = &["DROP INDEX CONCURRENTLY IF EXISTS public.\"Order_title_idx\""];

    /// An index on an expression, which asks for statistics.
    fn title() -> RunRecommendation {
        let after = vec!["ANALYZE public.\"Order\"".to_owned()];
        RunRecommendation { after, ..recommendation(TITLE, UNDO) }
    }

    #[test]
    fn a_file_of_sql_holds_one_statement_and_the_names_are_the_frameworks() {
        let of = title();
        let plain = written(Framework::Plain, &of, &[]);
        assert_eq!(
            paths(&plain),
            [
                "20260131235959_create_extension_if_not_exists_pg_trgm.up.sql",
                "20260131235959_create_extension_if_not_exists_pg_trgm.down.sql",
                "20260201000000_add_index_order_title_idx.up.sql",
                "20260201000000_add_index_order_title_idx.down.sql",
                "20260201000001_after_add_index_order_title_idx.up.sql",
                "20260201000001_after_add_index_order_title_idx.down.sql",
            ]
        );
        let lines: Vec<&str> =
            plain.files[2].text.lines().filter(|line| !line.starts_with("--")).collect();
        assert_eq!(lines, [format!("{};", TITLE[1])]);
        assert_eq!(plain.files[3].text, format!("{};\n", UNDO[0]));
        assert!(plain.files[2].text.starts_with("-- why not\n"), "{}", plain.files[2].text);
        let prisma = written(Framework::Prisma, &of, &[]);
        assert!(paths(&prisma).contains(&"20260201000000_add_index_order_title_idx/migration.sql"));
        let flyway = written(Framework::Flyway, &of, &[]);
        let own = "V20260201000000__add_index_order_title_idx.sql";
        assert!(paths(&flyway).contains(&own) && paths(&flyway).contains(&&*format!("{own}.conf")));
        assert!(flyway.files.iter().any(|file| file.text.contains("transactional.lock=false")));
    }

    #[test]
    fn rails_and_django_get_one_program_that_follows_what_is_there() {
        let of = title();
        let old = existing("20200101000000_init.rb", "class Init < ActiveRecord::Migration[7.2]");
        let older = existing("20190101000000_a.rb", "class A < ActiveRecord::Migration[5.0]");
        let rails = written(Framework::Rails, &of, &[older, old]);
        assert_eq!(paths(&rails), ["20260131235959_add_index_order_title_idx.rb"]);
        let text = &rails.files[0].text;
        for line in [
            "# why not",
            "class AddIndexOrderTitleIdx < ActiveRecord::Migration[7.2]",
            "  disable_ddl_transaction!",
            "      ANALYZE public.\"Order\"",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
        let there =
            [existing("__init__.py", ""), existing("0009_a.py", ""), existing("0010_b.py", "")];
        let django = written(Framework::Django, &of, &there);
        assert_eq!(paths(&django), ["0011_add_index_order_title_idx.py"]);
        let text = &django.files[0].text;
        assert!(text.contains("    dependencies = [(\"shop\", \"0010_b\")]\n"), "{text}");
        assert!(text.contains("    atomic = False\n"), "{text}");
        assert!(text.contains(r#""ANALYZE public.\"Order\"","#), "{text}");
    }

    #[test]
    fn django_applications_are_called_what_their_own_migrations_call_them() {
        let depends = |on: &str| format!("class Migration:\n    dependencies = [{on}]\n");
        let there = |second: &str, third: &str| {
            let first = depends("('auth', '0001_initial')");
            [
                ("0001_initial.py", first),
                ("0002_a.py", depends(second)),
                ("0003_b.py", depends(third)),
            ]
            .map(|(name, text)| existing(name, &text))
        };
        for (second, third, label) in [
            ("('store', '0001_initial')", "('store', '0002_a')", "store"),
            (
                "('auth', '0001_initial'), ('store', '0001_initial')",
                "(\"store\", \"0002_a\")",
                "store",
            ),
            // Where that does not tell, or the directory's name is among them, it is the directory's.
            ("('store', '0001_initial')", "('other', '0002_a')", "shop"),
            ("('shop', '0001_initial')", "('other', '0002_a')", "shop"),
            ("", "", "shop"),
        ] {
            let text = &written(Framework::Django, &title(), &there(second, third)).files[0].text;
            let wanted = format!("dependencies = [(\"{label}\", \"0003_b\")]");
            assert!(text.contains(&wanted), "{wanted}: {text}");
        }
    }

    #[test]
    fn what_is_there_is_not_written_again() {
        let of = title();
        for (framework, name) in [
            (Framework::Rails, "20200101000000_add_index_order_title_idx.rb"),
            (Framework::Django, "0004_add_index_order_title_idx.py"),
        ] {
            let again = written(framework, &of, &[existing(name, "")]);
            assert_eq!((again.files.len(), again.known), (0, vec![name.to_owned()]));
        }
        let names = [
            "V1__create_extension_if_not_exists_pg_trgm.sql",
            "V2__add_index_order_title_idx.sql",
            "V3__after_add_index_order_title_idx.sql",
        ];
        let there: Vec<Existing> = names.iter().map(|name| existing(name, "")).collect();
        assert_eq!(written(Framework::Flyway, &of, &there).known, names);
    }

    #[test]
    fn no_statement_gets_out_of_its_quotes() {
        let undo = "CREATE INDEX CONCURRENTLY x ON t (a) WHERE b = 'one\nSQL\n#{two} \\ '";
        let of = recommendation(
            &["DROP INDEX CONCURRENTLY IF EXISTS public.x"],
            &[undo, "COMMENT ON INDEX x IS 'y'"],
        );
        let rails = written(Framework::Rails, &of, &[]);
        let text = &rails.files[0].text;
        assert!(text.contains("execute <<~'SQL_'\n") && text.contains("\n    SQL_\n"), "{text}");
        let django = written(Framework::Django, &of, &[]);
        assert!(
            django.files[0].text.contains(r"'one\nSQL\n#{two} \\ '"),
            "{}",
            django.files[0].text
        );
    }

    #[test]
    fn names_that_are_not_ascii_stay_apart() {
        let index = |name: &str| {
            recommendation(&[&format!("CREATE INDEX CONCURRENTLY \"{name}\" ON t (a)")], UNDO)
        };
        let slugs: Vec<String> = ["таблица_idx", "столбец_idx"]
            .iter()
            .map(|name| written(Framework::Plain, &index(name), &[]).files[0].path.clone())
            .collect();
        assert_ne!(slugs[0], slugs[1]);
        assert!(slugs[0].is_ascii(), "{slugs:?}");
    }

    #[test]
    fn what_is_not_concurrent_gives_up_soon() {
        let of = recommendation(
            &["CREATE INDEX e_idx ON e (a)"],
            &["DROP INDEX IF EXISTS public.e_idx"],
        );
        let plain = written(Framework::Plain, &of, &[]);
        for file in &plain.files {
            assert!(
                file.text.contains("BEGIN;\nSET LOCAL lock_timeout = '5s';\n"),
                "{}",
                file.text
            );
        }
        let rails = written(Framework::Rails, &of, &[]);
        assert!(!rails.files[0].text.contains("disable_ddl"), "{}", rails.files[0].text);
    }
}
