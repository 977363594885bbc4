//! The words that PostgreSQL reserves, and those that the normalized text shows in capitals.

/// Cannot be a column name without quotes: reserved words of PostgreSQL 18, with those that can be
/// only a function or a type. Source: the manual's appendix "SQL Key Words". Sorted.
const RESERVED: &[&str] = &[
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization",
    "binary", "both", "case", "cast", "check", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "current_catalog", "current_date", "current_role",
    "current_schema", "current_time", "current_timestamp", "current_user", "default", "deferrable",
    "desc", "distinct", "do", "else", "end", "except", "false", "fetch", "for", "foreign", "freeze",
    "from", "full", "grant", "group", "having", "ilike", "in", "initially", "inner", "intersect",
    "into", "is", "isnull", "join", "lateral", "leading", "left", "like", "limit", "localtime",
    "localtimestamp", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order",
    "outer", "overlaps", "placing", "primary", "references", "returning", "right", "select",
    "session_user", "similar", "some", "symmetric", "system_user", "table", "tablesample", "then",
    "to", "trailing", "true", "union", "unique", "user", "using", "variadic", "verbose", "when",
    "where", "window", "with",
];

/// Not reserved, but they carry the structure of a statement. Sorted.
const STRUCTURAL: &[&str] = &[
    "alter", "begin", "between", "by", "commit", "conflict", "deallocate", "delete", "discard",
    "drop", "escape", "exists", "explain", "insert", "interval", "locked", "merge", "nothing",
    "nowait", "nulls", "over", "partition", "prepare", "recursive", "release", "reset", "rollback",
    "savepoint", "set", "show", "skip", "truncate", "update", "vacuum", "values",
];

/// Needs quotes as an identifier. `word` is lower case.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Shown in capitals. `word` is lower case.
pub fn is_shown_in_capitals(word: &str) -> bool {
    is_reserved(word) || STRUCTURAL.binary_search(&word).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_are_sorted_for_the_search() {
        assert!(RESERVED.is_sorted() && STRUCTURAL.is_sorted());
        assert!(is_reserved("user") && !is_reserved("status"));
    }
}
