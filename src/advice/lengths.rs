//! Whether the values of a column stay short enough for an index.
//!
//! A row of a btree is at most a third of a page, 2,704 bytes. Where an index carries a column that it does not
//! search by, a longer value fails to be written, which nobody who wrote it before expects.

use crate::model::catalog::Column;
use crate::sql::immutable::Kind;

/// Values of a type without a limit count as short while none is known to be longer than this, bytes: a tenth of
/// what a row of a btree may have.
const SHORT_BYTES: u32 = 256;
/// Characters of a type with a limit, at most; each has up to four bytes.
const SHORT_CHARACTERS: u32 = 255;
/// Mean of the values of a key, bytes, beyond which single ones are likely not to fit.
const LONG_KEY_BYTES: u32 = 900;

/// An index may carry the column beside its keys: by its type it is short, or it holds words and names, as far as
/// statistics tell.
pub fn stays_short(column: &Column) -> bool {
    let storage = column.storage.as_ref();
    if storage.is_some_and(|storage| storage.length_bytes.is_some()) {
        return true;
    }
    match Kind::of(&column.type_name) {
        Kind::Text => match limit(&column.type_name) {
            Some(characters) => characters <= SHORT_CHARACTERS,
            None => seen_short(column),
        },
        Kind::Integer | Kind::Bigint | Kind::Decimal | Kind::Boolean | Kind::Uuid => true,
        Kind::Date | Kind::Timestamp | Kind::TimestampTz | Kind::Network => true,
        _ => false,
    }
}

/// Its values are too long for a btree to be searched by them.
pub fn is_too_long(column: &Column) -> bool {
    let is_text = Kind::of(&column.type_name) == Kind::Text;
    is_text && column.width_bytes.is_some_and(|bytes| bytes > LONG_KEY_BYTES)
}

/// What was sampled of the column is short. Samples leave out what has more than a kilobyte, and the mean does not.
fn seen_short(column: &Column) -> bool {
    let seen = column.storage.as_ref().and_then(|storage| {
        let (mean_bytes, _) = storage.varying_bytes?;
        Some((mean_bytes, storage.longest_bytes?))
    });
    seen.is_some_and(|(mean_bytes, longest_bytes)| {
        let is_whole =
            column.width_bytes.is_none_or(|bytes| bytes as f32 <= 1.5 * mean_bytes + 4.0);
        is_whole && longest_bytes <= SHORT_BYTES
    })
}

/// Characters that the type allows: those of `character varying(40)`.
fn limit(type_name: &str) -> Option<u32> {
    let name = type_name.to_lowercase();
    let (name, rest) = name.split_once('(').unwrap_or((&name, ""));
    match (name.trim(), rest.split(')').next()?.trim().parse().ok()) {
        ("character" | "char", None) => Some(1),
        (_, limit) => limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::ddl;

    #[test]
    fn what_has_no_limit_is_short_only_where_that_was_seen() {
        let (mut catalog, _) = ddl::catalog(
            "CREATE TABLE t (a text, b varchar(40), c varchar(4000), d jsonb, e text[], f tsvector, g uuid,
                             h char, i numeric(10, 2), j timestamptz, k varchar, l bytea)",
        );
        let is_short = |catalog: &crate::model::catalog::Catalog| -> String {
            let columns = catalog.tables[0].columns.iter();
            columns.filter(|column| stays_short(column)).map(|c| c.name.as_str()).collect()
        };
        assert_eq!(is_short(&catalog), "bghij");
        let storage = crate::model::catalog::Storage {
            length_bytes: None,
            varying_bytes: Some((20.0, 5.0)),
            longest_bytes: Some(60),
            alignment_bytes: 4,
            deduplicates: true,
            bytewise: true,
        };
        for (longest_bytes, width_bytes, columns) in
            [(60, 20, "abghijk"), (300, 20, "bghij"), (60, 90, "bghij")]
        {
            for column in &mut catalog.tables[0].columns {
                let storage = Some(crate::model::catalog::Storage {
                    longest_bytes: Some(longest_bytes),
                    ..storage
                });
                (column.storage, column.width_bytes) = (storage, Some(width_bytes));
            }
            assert_eq!(is_short(&catalog), columns, "{longest_bytes} {width_bytes}");
        }
    }
}
