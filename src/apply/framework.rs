//! Writes the migration files of each framework. Nothing here knows why a migration is there.

use std::collections::BTreeMap;

use super::file::{Existing, File, Migration, MigrationPlace, comment, on_failure, script};

/// The comment of a migration without an undo.
const NO_UNDO: &str = "no undo: other objects may depend on it by now";

fn notes(migration: &Migration) -> Vec<String> {
    migration.notes.iter().cloned().chain(on_failure(migration)).collect()
}

fn undo_script(migration: &Migration) -> String {
    match migration.down.is_empty() {
        true => comment("--", &[NO_UNDO.to_owned()]),
        false => script(&migration.down),
    }
}

pub(super) mod plain {
    use super::*;

    pub fn files(stamp: &str, migration: &Migration) -> Vec<File> {
        let stem = format!("{stamp}_{}", migration.slug);
        let whole = |text: String| match migration.is_concurrent || migration.down.is_empty() {
            true => text,
            false => format!("BEGIN;\n{text}COMMIT;\n"),
        };
        let up = comment("--", &notes(migration)) + &whole(script(&migration.up));
        vec![
            File { path: format!("{stem}.up.sql"), text: up },
            File { path: format!("{stem}.down.sql"), text: whole(undo_script(migration)) },
        ]
    }
}

pub(super) mod prisma {
    use super::*;

    pub fn files(stamp: &str, migration: &Migration) -> Vec<File> {
        let directory = format!("{stamp}_{}", migration.slug);
        let up = comment("--", &notes(migration)) + &script(&migration.up);
        vec![
            File { path: format!("{directory}/migration.sql"), text: up },
            File { path: format!("{directory}/down.sql"), text: undo_script(migration) },
        ]
    }
}

pub(super) mod flyway {
    use super::*;

    pub fn files(stamp: &str, migration: &Migration) -> Vec<File> {
        let name = format!("V{stamp}__{}.sql", migration.slug);
        let undo = format!("U{stamp}__{}.sql", migration.slug);
        let mut lines = notes(migration);
        if migration.is_concurrent {
            // Flyway holds a transaction open while it migrates, and the build waits for its end.
            lines.push(
                "Needs flyway.postgresql.transactional.lock=false, or the build waits for Flyway and \
                 Flyway for the build."
                    .to_owned(),
            );
        }
        let mut files = vec![
            File { path: name.clone(), text: comment("--", &lines) + &script(&migration.up) },
            File { path: undo.clone(), text: undo_script(migration) },
        ];
        if migration.is_concurrent {
            let text = "executeInTransaction=false\n".to_owned();
            files.push(File { path: format!("{name}.conf"), text: text.clone() });
            files.push(File { path: format!("{undo}.conf"), text });
        }
        files
    }
}

pub(super) mod rails {
    use super::*;

    /// Understood by every release of Rails since 6.1.
    const OLDEST: (u32, u32) = (6, 1);

    pub fn files(stamp: &str, migration: &Migration, existing: &[Existing]) -> Vec<File> {
        let (major, minor) = existing.iter().filter_map(version).max().unwrap_or(OLDEST);
        let class: String = migration.slug.split('_').map(capitalized).collect();
        let mut text = comment("#", &notes(migration));
        text.push_str(&format!("class {class} < ActiveRecord::Migration[{major}.{minor}]\n"));
        if migration.is_concurrent {
            text.push_str("  disable_ddl_transaction!\n\n");
        }
        text.push_str(&method("up", &migration.up));
        text.push('\n');
        text.push_str(&method("down", &migration.down));
        text.push_str("end\n");
        vec![File { path: format!("{stamp}_{}.rb", migration.slug), text }]
    }

    fn method(name: &str, statements: &[String]) -> String {
        let body: Vec<String> = statements.iter().map(|sql| execute(sql)).collect();
        format!("  def {name}\n{}  end\n", body.join("\n"))
    }

    /// A here-document takes the statement as it is: nothing in it is Ruby.
    fn execute(sql: &str) -> String {
        let mut end = "SQL".to_owned();
        while sql.lines().any(|line| line.trim() == end) {
            end.push('_');
        }
        let lines: String = sql.lines().map(|line| format!("      {line}\n")).collect();
        format!("    execute <<~'{end}'\n{lines}    {end}\n")
    }

    fn capitalized(word: &str) -> String {
        let mut letters = word.chars();
        letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect()
    }

    /// `7.1` of `ActiveRecord::Migration[7.1]`.
    fn version(existing: &Existing) -> Option<(u32, u32)> {
        let (_, rest) = existing.text.split_once("ActiveRecord::Migration[")?;
        let (major, minor) = rest.split_once(']')?.0.split_once('.')?;
        Some((major.trim().parse().ok()?, minor.trim().parse().ok()?))
    }
}

pub(super) mod django {
    use super::*;

    /// Name of the last migration that is there.
    pub fn last(existing: &[Existing]) -> Option<String> {
        let names = existing.iter().filter_map(|known| known.name.strip_suffix(".py"));
        names
            .filter(|name| number(name).is_some())
            .max_by_key(|name| number(name))
            .map(str::to_owned)
    }

    /// The migration that follows `before`, with its name.
    pub fn file(
        migration: &Migration,
        before: Option<&str>,
        place: &MigrationPlace<'_>,
    ) -> (String, File) {
        let next = before.and_then(number).unwrap_or(0) + 1;
        let name = format!("{next:04}_{}", migration.slug);
        let dependencies = match before {
            Some(before) => format!("[({}, {})]", string(label(place)), string(before)),
            None => "[]".to_owned(),
        };
        let atomic = if migration.is_concurrent { "    atomic = False\n" } else { "" };
        let text = format!(
            "{}from django.db import migrations\n\n\nclass Migration(migrations.Migration):\n{atomic}    \
             dependencies = {dependencies}\n\n    operations = [\n        migrations.RunSQL(\n            \
             sql={},\n            reverse_sql={},\n        ),\n    ]\n",
            comment("#", &notes(migration)),
            list(&migration.up),
            list(&migration.down),
        );
        (name.clone(), File { path: format!("{name}.py"), text })
    }

    fn number(name: &str) -> Option<u32> {
        name.split_once('_')?.0.parse().ok()
    }

    /// Returns the application's label in its own migrations, which need not be the name of its directory; that
    /// name where they do not tell.
    fn label<'p>(place: &MigrationPlace<'p>) -> &'p str {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for migration in place.existing {
            // One of the same name as the file itself is another application's.
            let others = place.existing.iter().filter(|other| other.name != migration.name);
            let stems = others.filter_map(|other| other.name.strip_suffix(".py"));
            for label in stems.flat_map(|stem| beside(&migration.text, stem)) {
                *counts.entry(label).or_default() += 1;
            }
        }
        let most = counts.values().max().copied().unwrap_or(0);
        let mut likely = counts.iter().filter(|(_, count)| **count == most);
        match (likely.next(), likely.next()) {
            (Some((label, _)), None) if !counts.contains_key(place.application) => label,
            _ => place.application,
        }
    }

    /// The first part of each `('label', 'stem')`.
    fn beside<'t>(text: &'t str, stem: &str) -> Vec<&'t str> {
        let of = |(at, _)| {
            let head =
                text[..at].strip_suffix(['\'', '"'])?.trim_end().strip_suffix(',')?.trim_end();
            let head = head.strip_suffix(['\'', '"'])?;
            Some(&head[head.rfind(['\'', '"'])? + 1..])
        };
        let is_whole = |(at, _): &(usize, &str)| text[at + stem.len()..].starts_with(['\'', '"']);
        text.match_indices(stem).filter(is_whole).filter_map(of).collect()
    }

    /// A list of statements: Django executes each by itself, and takes none apart.
    fn list(statements: &[String]) -> String {
        let lines: String =
            statements.iter().map(|sql| format!("                {},\n", string(sql))).collect();
        format!("[\n{lines}            ]")
    }

    /// Python reads a string of JSON as its own.
    fn string(text: &str) -> String {
        serde_json::Value::from(text).to_string()
    }
}
