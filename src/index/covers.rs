//! Whether an index does the work of another one.

use crate::model::index::{AccessMethod, Index, IndexDef, IndexKey};
use crate::sql::expression::equivalence::is_same;

impl IndexDef {
    /// It holds the same rows as `narrow`, begins with the same keys, and carries the same columns. Each key of GIN
    /// works like the first one, and a btree can be read from either end.
    pub fn covers(&self, narrow: &IndexDef) -> bool {
        self.method == narrow.method
            && self.has_same_rows(narrow)
            && self.begins_with_keys_of(narrow)
            && narrow.include.iter().all(|column| self.holds(column))
    }

    /// Nothing is lost when `index` is dropped once this one is there.
    pub fn replaces(&self, index: &Index) -> bool {
        // What enforces something stays.
        !(index.constraint || index.unique)
            && self.is_as_good_as(&index.def)
            && (index.options.is_empty() || has_options_about_space_only(&index.def.method))
    }

    /// The `WHERE` of both means the same.
    pub(super) fn has_same_rows(&self, other: &IndexDef) -> bool {
        match (&self.predicate, &other.predicate) {
            (Some(own), Some(others)) => is_same(own, others),
            (own, others) => own.is_none() && others.is_none(),
        }
    }

    fn begins_with_keys_of(&self, narrow: &IndexDef) -> bool {
        if self.method == AccessMethod::Gin {
            let has = |key: &IndexKey| self.keys.iter().any(|own| own.is_same_as(key));
            return narrow.keys.iter().all(has);
        }
        let mut pairs = self.keys.iter().zip(&narrow.keys);
        self.keys.len() >= narrow.keys.len()
            && (pairs.clone().all(|(own, key)| own.is_same_as(key))
                || (self.method == AccessMethod::Btree
                    && pairs.all(|(own, key)| own.is_same_as(&key.backwards()))))
    }

    /// It covers `narrow` and takes hardly longer to read: only a btree serves as well by its first keys alone.
    fn is_as_good_as(&self, narrow: &IndexDef) -> bool {
        (self.method == AccessMethod::Btree || self.keys.len() == narrow.keys.len())
            && self.covers(narrow)
    }
}

impl Index {
    /// Everything that `other` can do, this index of the same table can do as well.
    pub fn makes_superfluous(&self, other: &Index) -> bool {
        self.valid
            && self.def.is_as_good_as(&other.def)
            && (has_options_about_space_only(&other.def.method) || self.has_same_options(other))
    }

    fn has_same_options(&self, other: &Index) -> bool {
        self.options.len() == other.options.len()
            && self.options.iter().all(|own| other.options.contains(own))
    }
}

impl IndexKey {
    pub(super) fn is_same_as(&self, other: &IndexKey) -> bool {
        let is_same_expression = match self.is_column || other.is_column {
            true => self.expression == other.expression,
            false => is_same(&self.expression, &other.expression),
        };
        is_same_expression
            && (self.descending, self.nulls_first) == (other.descending, other.nulls_first)
            && self.bare_operator_class() == other.bare_operator_class()
            && self.collation == other.collation
    }

    /// The key as it stands when the index is read from its end.
    fn backwards(&self) -> IndexKey {
        IndexKey { descending: !self.descending, nulls_first: !self.nulls_first, ..self.clone() }
    }

    /// The operator class without its schema, which a dump always has and the server's catalog never.
    fn bare_operator_class(&self) -> Option<&str> {
        let class = self.operator_class.as_deref()?;
        let end = class.find('(').unwrap_or(class.len());
        let start = class[..end].rfind('.').map_or(0, |dot| dot + 1);
        Some(&class[start..])
    }
}

/// The storage parameters of the method only say how full its pages are. Those of BRIN decide how much of a table a
/// scan reads, and those of GIN who pays for new entries.
fn has_options_about_space_only(method: &AccessMethod) -> bool {
    matches!(method, AccessMethod::Btree | AccessMethod::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::name::TableName;

    #[test]
    fn what_enforces_something_or_does_more_is_not_replaced() {
        let new = IndexDef {
            table: TableName::new("public", "t"),
            method: AccessMethod::Btree,
            keys: vec![IndexKey::column("a"), IndexKey::column("b")],
            include: vec!["c".into()],
            predicate: None,
        };
        let def = IndexDef {
            keys: vec![IndexKey::column("a")],
            include: vec!["b".into(), "c".into()],
            ..new.clone()
        };
        let old = Index {
            name: "old".into(),
            schema: "public".into(),
            def: def.clone(),
            unique: false,
            primary: false,
            building: false,
            constraint: false,
            valid: true,
            size_bytes: None,
            scans: None,
            definition: String::new(),
            options: Vec::new(),
            restore: Vec::new(),
            clustered: false,
        };
        assert!(new.replaces(&old));
        let with = |def: IndexDef| Index { def, ..old.clone() };
        let with_keys = |key: IndexKey| with(IndexDef { keys: vec![key], ..def.clone() });
        let descending = IndexKey { descending: true, nulls_first: true, ..IndexKey::column("a") };
        // Read from its end.
        assert!(new.replaces(&with_keys(descending.clone())));
        let nulls_last = IndexKey { nulls_first: false, ..descending };
        let by_bytes = IndexKey { collation: Some("\"C\"".into()), ..IndexKey::column("a") };
        for other in [
            Index { unique: true, ..old.clone() },
            Index { constraint: true, ..old.clone() },
            with(IndexDef { predicate: Some("a > 0".into()), ..def.clone() }),
            with(IndexDef { include: vec!["d".into()], ..def.clone() }),
            with_keys(IndexKey::column("b")),
            with_keys(nulls_last),
            with_keys(by_bytes),
            with(IndexDef { method: AccessMethod::Hash, ..def.clone() }),
        ] {
            assert!(!new.replaces(&other), "{other:?}");
        }
    }
}
