//! Exclusion constraints of a dump, as the indexes that they are. The parser of statements does not read them.

use crate::model::name::TableName;
use crate::sql::lex::cursor::{altered, qualified, take};
use crate::sql::lex::identifier::{quote, quote_table};
use crate::sql::lex::lexer::{Token, tokens};

/// An index that keeps rows from standing beside each other.
pub(super) struct Exclusion {
    pub table: TableName,
    pub name: String,
    /// The statement that would make the index alone.
    pub create: String,
}

/// Reads `ALTER TABLE t ADD CONSTRAINT c EXCLUDE USING gist (room WITH =, during WITH &&) WHERE (…)`.
pub(super) fn exclusion(sql: &str) -> Option<Exclusion> {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let mut rest = &all[..];
    let table = altered(&mut rest)?;
    if !take(&mut rest, &["add", "constraint"]) {
        return None;
    }
    let TableName { name, .. } = qualified(&mut rest)?;
    if !take(&mut rest, &["exclude"]) {
        return None;
    }
    let mut index = String::new();
    // The operators stand behind the elements of the first list: those of storage parameters behind it.
    let (mut depth, mut is_operator, mut in_list) = (0usize, false, true);
    for token in rest.iter().take_while(|token| !token.is_word("deferrable")) {
        match () {
            () if token.is("(") => depth += 1,
            () if token.is(")") => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    (is_operator, in_list) = (false, false);
                }
            }
            () if depth == 1 && token.is(",") => is_operator = false,
            () if depth == 1 && in_list && token.is_word("with") => is_operator = true,
            () => {}
        }
        if !is_operator {
            index.push_str(token.text);
            index.push(' ');
        }
    }
    let create = format!("CREATE INDEX {} ON {} {index}", quote(&name), quote_table(&table));
    Some(Exclusion { table, name, create })
}

#[cfg(test)]
mod tests {
    use crate::model::index::AccessMethod;
    use crate::sql::dump::catalog;

    #[test]
    fn an_exclusion_constraint_is_an_index_that_stays() {
        let (catalog, coverage) = catalog::catalog(
            "CREATE TABLE \"Rooms\" (id int, room int, during tstzrange, state text);
             ALTER TABLE ONLY public.\"Rooms\"
                 ADD CONSTRAINT rooms_free EXCLUDE USING gist (room WITH =, (lower(state)) WITH OPERATOR(pg_catalog.=), during WITH &&)
                 WHERE (((state)::text <> 'gone'::text)) DEFERRABLE INITIALLY DEFERRED;",
        );
        assert!(coverage.skipped.is_empty(), "{coverage:?}");
        let [index] = &catalog.tables[0].indexes[..] else { panic!("{catalog:?}") };
        let keys: Vec<&str> = index.def.keys.iter().map(|key| key.expression.as_str()).collect();
        assert_eq!(keys, ["room", "lower(state)", "during"]);
        assert!(
            index.constraint
                && index.name == "rooms_free"
                && index.def.method == AccessMethod::Gist
        );
        assert!(index.def.predicate.as_ref().is_some_and(|sql| sql.contains("<>")), "{index:?}");
    }
}
