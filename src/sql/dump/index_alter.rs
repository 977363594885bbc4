//! ALTER INDEX and other statements about existing indexes, which the parser does not read.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::catalog::Catalog;
use crate::model::name::TableName;
use crate::sql::lex::cursor::{altered, qualified, take};
use crate::sql::lex::identifier::quote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// One statement about indexes. They have names as tables have.
#[derive(Debug, PartialEq)]
enum IndexAlteration {
    /// `ALTER INDEX whole ATTACH PARTITION part`.
    Attached { whole: TableName, part: TableName },
    /// A property of an index that its definition does not hold, such as a comment.
    Marked { index: TableName, is_cluster: bool },
    /// `SET default_tablespace`: of what is made from here on; `None` is that of the database.
    Tablespace(Option<String>),
}

/// All that was said so far.
#[derive(Default)]
pub(super) struct Marks {
    attached: Vec<(TableName, TableName)>,
    /// Indexes with the statement, and whether it is the mark of `CLUSTER`.
    marked: Vec<(TableName, String, bool)>,
    /// Indexes that were made without those of the partitions.
    only: BTreeSet<TableName>,
    pub(super) tablespace: Option<String>,
}

impl Marks {
    /// Takes note of a statement that says something of indexes; `false` for every other.
    pub(super) fn note(&mut self, sql: &str) -> bool {
        match alteration(sql) {
            Some(IndexAlteration::Attached { whole, part }) => self.attached.push((whole, part)),
            Some(IndexAlteration::Marked { index, is_cluster }) => {
                self.marked.push((index, sql.trim().to_owned(), is_cluster));
            }
            Some(IndexAlteration::Tablespace(name)) => self.tablespace = name,
            None => return false,
        }
        true
    }

    /// Takes note of an index that was made `ON ONLY` its table.
    pub(super) fn note_only(&mut self, schema: &str, name: &str) {
        self.only.insert(TableName::new(schema, name));
    }

    /// The index that one was made a part of.
    pub(super) fn above(&self, index: &TableName) -> Option<TableName> {
        let (whole, _) = self.attached.iter().find(|(_, part)| part == index)?;
        Some(whole.clone())
    }

    /// Writes into the catalog what was said. `parts` are the partitions with what they are parts of.
    pub(super) fn write(&self, catalog: &mut Catalog, parts: &[(TableName, TableName)]) {
        let table_of: BTreeMap<TableName, TableName> = catalog
            .tables
            .iter()
            .flat_map(|table| {
                let names = table.indexes.iter().map(|i| TableName::new(&i.schema, &i.name));
                names.map(|name| (name, table.name.clone()))
            })
            .collect();
        for table in &mut catalog.tables {
            for index in &mut table.indexes {
                let name = TableName::new(&index.schema, &index.name);
                index.valid &= self.is_whole(&name, &table_of, parts, parts.len());
                for (_, sql, is_cluster) in self.marked.iter().filter(|(of, ..)| *of == name) {
                    index.restore.push(sql.clone());
                    index.clustered |= is_cluster;
                }
            }
        }
    }

    /// Every partition of the table has an index that was attached to this one.
    fn is_whole(
        &self,
        index: &TableName,
        table_of: &BTreeMap<TableName, TableName>,
        parts: &[(TableName, TableName)],
        depth: usize,
    ) -> bool {
        let Some(table) = table_of.get(index).filter(|_| self.only.contains(index)) else {
            return true;
        };
        // What a file says may go round in circles.
        let Some(depth) = depth.checked_sub(1) else { return true };
        let own: Vec<&TableName> = self
            .attached
            .iter()
            .filter(|(whole, _)| whole == index)
            .map(|(_, part)| part)
            .collect();
        parts.iter().filter(|(_, whole)| whole == table).all(|(part, _)| {
            let mut of_part = own.iter().filter(|index| table_of.get(**index) == Some(part));
            of_part.any(|index| self.is_whole(index, table_of, parts, depth))
        })
    }
}

fn alteration(sql: &str) -> Option<IndexAlteration> {
    let all: Vec<Token<'_>> = tokens(sql).take(24).collect();
    let mut rest = &all[..];
    if take(&mut rest, &["set", "default_tablespace"]) {
        let (sign, rest) = rest.split_first()?;
        let value = rest.first().filter(|_| sign.is("=") || sign.is_word("to"))?;
        let name = value.text.trim_matches(['\'', '"']);
        let is_set = !name.is_empty() && !value.is_word("default");
        return Some(IndexAlteration::Tablespace(is_set.then(|| name.to_owned())));
    }
    if take(&mut rest, &["comment", "on", "index"]) {
        return Some(IndexAlteration::Marked { index: qualified(&mut rest)?, is_cluster: false });
    }
    if take(&mut rest, &["alter", "index"]) {
        take(&mut rest, &["if", "exists"]);
        take(&mut rest, &["only"]);
        let index = qualified(&mut rest)?;
        if take(&mut rest, &["attach", "partition"]) {
            return Some(IndexAlteration::Attached { whole: index, part: qualified(&mut rest)? });
        }
        let is_mark = take(&mut rest, &["alter"]) && rest.iter().any(|t| t.is_word("statistics"));
        return is_mark.then_some(IndexAlteration::Marked { index, is_cluster: false });
    }
    let table = altered(&mut rest)?;
    take(&mut rest, &["cluster", "on"]).then(|| qualified(&mut rest)).flatten().map(|name| {
        IndexAlteration::Marked { index: TableName::new(table.schema, name.name), is_cluster: true }
    })
}

/// `CREATE INDEX` without what is said to the operator classes, `gist_trgm_ops (siglen='32')`, and that, by the
/// number of the key. The parser does not read it.
pub(super) fn class_options(sql: &str) -> (String, Vec<(usize, String)>) {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let is_create = all.first().is_some_and(|first| first.is_word("create"))
        && all.iter().take(4).any(|token| token.is_word("index"));
    let (mut without, mut options) = (String::new(), Vec::new());
    let (mut depth, mut key, mut done) = (0, 0, 0);
    let mut at = 0;
    while is_create && at < all.len() {
        let token = &all[at];
        if depth == 1 && token.is("(") && is_behind_class(&all[..at]) {
            let Some(length) = all[at..].iter().position(|token| token.is(")")) else { break };
            let (first, last) = (token.start, &all[at + length]);
            options.push((key, plain_options(&all[at + 1..at + length])));
            without.push_str(&sql[done..first]);
            done = last.start + last.text.len();
            at += length + 1;
            continue;
        }
        match token.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => key += 1,
            _ => {}
        }
        // Behind the keys nothing of the kind stands.
        if depth == 0 && token.is(")") {
            break;
        }
        at += 1;
    }
    without.push_str(&sql[done..]);
    (without, options)
}

/// Before an opening parenthesis stands a name that is not the first word of its key.
fn is_behind_class(before: &[Token<'_>]) -> bool {
    let is_name =
        |token: &Token<'_>| matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent);
    let mut back = before.iter().rev();
    let Some(_) = back.next().filter(|last| is_name(last)) else { return false };
    let mut first = back.next();
    // The name may have a schema.
    if first.is_some_and(|dot| dot.is(".")) {
        back.next();
        first = back.next();
    }
    first.is_some_and(|first| !first.is("(") && !first.is(","))
}

/// `siglen=32, n=5`, as the server's catalog has it.
fn plain_options(inside: &[Token<'_>]) -> String {
    let text = |token: &Token<'_>| match token.is(",") {
        true => ", ".to_owned(),
        false => token.text.trim_matches('\'').to_lowercase(),
    };
    inside.iter().map(text).collect()
}

/// A definition with its tablespace, which stands before the condition.
pub(super) fn in_tablespace(definition: &str, predicate: Option<&str>, name: &str) -> String {
    let condition = predicate.map(|predicate| format!(" WHERE {predicate}")).unwrap_or_default();
    let head = definition.strip_suffix(&condition).unwrap_or(definition);
    format!("{head} TABLESPACE {}{condition}", quote(name))
}

#[cfg(test)]
mod tests {
    use crate::sql::dump::catalog;

    #[test]
    fn what_is_said_of_an_index_after_it_was_made_stands_in_what_makes_it_again() {
        let (catalog, coverage) = catalog::catalog(
            "CREATE TABLE public.led (id int, note text, acc int);
             SET default_tablespace = fast;
             CREATE INDEX led_acc ON public.led USING btree (acc) WHERE (acc > 5);
             SET default_tablespace = '';
             CREATE INDEX led_long ON public.led USING gist (note public.gist_trgm_ops (siglen='12')) WITH (fillfactor='70');
             CREATE INDEX led_bloom ON public.led USING brin (id, ((acc % 7)) int4_bloom_ops (n_distinct_per_range='9', false_positive_rate='0.1'), acc) WITH (pages_per_range='4');
             CREATE INDEX led_low ON public.led USING btree (lower(note) text_pattern_ops, upper((note)::text));
             COMMENT ON INDEX public.led_acc IS 'keep; -- it';
             ALTER TABLE public.led CLUSTER ON led_acc;
             ALTER INDEX public.led_low ALTER COLUMN 1 SET STATISTICS 700;
             ALTER INDEX public.led_low DEPENDS ON EXTENSION pg_trgm;
             CREATE POLICY p ON public.led USING ((acc = 1));",
        );
        assert!(coverage.skipped.is_empty(), "{coverage:?}");
        let indexes = &catalog.tables[0].indexes;
        let classes = |at: usize| -> Vec<Option<&str>> {
            indexes[at].def.keys.iter().map(|key| key.operator_class.as_deref()).collect()
        };
        let [acc, long, bloom, low] = &indexes[..] else { panic!("{indexes:?}") };
        assert!(acc.definition.ends_with("(acc) TABLESPACE fast WHERE (acc > 5)"), "{acc:?}");
        assert!(acc.clustered && !low.clustered);
        assert_eq!(
            acc.restore,
            [
                "COMMENT ON INDEX public.led_acc IS 'keep; -- it'",
                "ALTER TABLE public.led CLUSTER ON led_acc"
            ]
        );
        assert_eq!(low.restore, ["ALTER INDEX public.led_low ALTER COLUMN 1 SET STATISTICS 700"]);
        assert_eq!(classes(1), [Some("public.gist_trgm_ops(siglen=12)")]);
        assert!(long.definition.contains("(note public.gist_trgm_ops(siglen=12))"), "{long:?}");
        assert_eq!(long.options, ["fillfactor=70"]);
        let of_bloom = "int4_bloom_ops(n_distinct_per_range=9, false_positive_rate=0.1)";
        assert_eq!(classes(2), [None, Some(of_bloom), None]);
        assert!(bloom.definition.contains(of_bloom), "{bloom:?}");
        assert_eq!(classes(3), [Some("text_pattern_ops"), None]);
        assert_eq!(low.def.keys.len(), 2);
    }

    #[test]
    fn an_index_of_the_whole_counts_once_every_part_has_its_own() {
        let whole = |attached: &str| {
            let (catalog, _) = catalog::catalog(&format!(
                "CREATE TABLE r (a int, b int) PARTITION BY LIST (a);
                 CREATE TABLE r_1 (a int, b int); CREATE TABLE r_2 (a int, b int) PARTITION BY LIST (b);
                 CREATE TABLE r_2_1 (a int, b int);
                 ALTER TABLE ONLY r ATTACH PARTITION r_1 FOR VALUES IN (1);
                 ALTER TABLE ONLY r ATTACH PARTITION r_2 FOR VALUES IN (2);
                 ALTER TABLE ONLY r_2 ATTACH PARTITION r_2_1 FOR VALUES IN (1);
                 CREATE INDEX r_b ON ONLY r (b); CREATE INDEX r_1_b ON r_1 (b);
                 CREATE INDEX r_2_b ON ONLY r_2 (b); CREATE INDEX r_2_1_b ON r_2_1 (b); {attached}"
            ));
            assert_eq!(catalog.tables.len(), 1);
            catalog.tables[0].indexes[0].valid
        };
        let (one, two) =
            ("ALTER INDEX r_b ATTACH PARTITION r_1_b;", "ALTER INDEX r_b ATTACH PARTITION r_2_b;");
        let below = "ALTER INDEX r_2_b ATTACH PARTITION r_2_1_b;";
        assert!(whole(&[one, two, below].concat()));
        for missing in [[one, two], [one, below], [two, below]] {
            assert!(!whole(&missing.concat()), "{missing:?}");
        }
        assert!(!whole(
            "ALTER INDEX r_b ATTACH PARTITION r_b; ALTER INDEX r_b ATTACH PARTITION r_x;"
        ));
    }
}
