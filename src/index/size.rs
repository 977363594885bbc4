//! Estimates the size of an index from statistics.
//!
//! Layout and limits of a btree are those of `CREATE INDEX` in PostgreSQL (`nbtsort.c`, `nbtdedup.c`):
//! leaves are filled to 90 %, inner pages to 70 %, and from 13 on equal keys share a tuple until it takes
//! a tenth of a page.

use std::collections::BTreeMap;

use crate::model::catalog::{Column, Table};
use crate::model::index::{AccessMethod, IndexDef, IndexKey, mentions};
use crate::model::whatif::RowGroups;

pub(super) const PAGE: f64 = 8_192.0;
/// Page header and the special space of a btree page.
const PAGE_OVERHEAD: f64 = 24.0 + 16.0;
/// Pointer to a tuple at the front of its page.
pub(super) const LINE_POINTER: f64 = 4.0;
/// Header of an index tuple.
pub(super) const TUPLE_HEADER: f64 = 8.0;
/// The size of each further row in a posting list, bytes: its tuple identifier.
const ROW_POINTER: f64 = 6.0;
/// A tuple is shared up to this size: a tenth of a page, less a line pointer (`nbtsort.c`).
const MOST_SHARED: f64 = 816.0 - LINE_POINTER;
/// Standard deviation of values of varying length where nothing is known of it, as a part of their mean.
const DEVIATION: f64 = 0.09;
/// Mean of the fraction that is cut off a mean width, bytes.
const CUT_OFF: f64 = 0.5;
/// Part of a leaf that stays free, and of an inner page.
const LEAF_FREE: f64 = 0.10;
const INNER_FREE: f64 = 0.30;

/// One key or one included column of an index to be.
#[derive(Debug, Clone)]
pub struct SizedColumn {
    /// Mean bytes of a value that is not null, headers of its own included.
    pub width_bytes: f64,
    pub alignment_bytes: f64,
    /// Standard deviation of the bytes; zero where all values have the same length.
    pub deviation_bytes: f64,
    pub null_fraction: f64,
    /// Distinct values among the rows of the index.
    pub distinct: f64,
    /// Of these, the values that occur in one row only, where that is known.
    pub once: Option<f64>,
    /// Shares of the rows that the most frequent values have.
    pub frequencies: Vec<f64>,
    /// Equal values are kept once.
    pub deduplicates: bool,
}

impl SizedColumn {
    /// A column of a table, by its statistics; what they do not say counts as eight bytes, all distinct.
    pub fn column(table: &Table, column: &Column) -> SizedColumn {
        let storage = column.storage;
        let length = storage.and_then(|storage| storage.length_bytes).map(f64::from);
        let rows = table.rows.unwrap_or(0.0);
        let (width_bytes, deviation_bytes) = length_of(column);
        SizedColumn {
            width_bytes,
            deviation_bytes,
            // Short values of varying length are kept without padding.
            alignment_bytes: match (length, storage) {
                (Some(_), Some(storage)) => f64::from(storage.alignment_bytes),
                _ => 1.0,
            },
            null_fraction: column.null_fraction.unwrap_or(0.0),
            distinct: column.distinct_count(rows).unwrap_or(rows).max(1.0),
            once: column.once,
            frequencies: column.frequencies.iter().map(|share| f64::from(*share)).collect(),
            deduplicates: storage.is_some_and(|storage| storage.deduplicates),
        }
    }
}

/// Mean and standard deviation of a value's bytes.
fn length_of(column: &Column) -> (f64, f64) {
    let storage = column.storage;
    if let Some(length) = storage.and_then(|storage| storage.length_bytes) {
        return (f64::from(length), 0.0);
    }
    if let Some((mean, deviation)) = storage.and_then(|storage| storage.varying_bytes) {
        return (f64::from(mean), f64::from(deviation));
    }
    let width = column.width_bytes.map_or(8.0, f64::from);
    // `character(n)` is padded.
    match column.type_name.starts_with("character(") {
        true => (width, 0.0),
        false => (width + CUT_OFF, width * DEVIATION),
    }
}

/// Bytes of a new btree over `rows` rows.
pub fn btree(rows: f64, keys: &[SizedColumn], include: &[SizedColumn]) -> f64 {
    match is_shared(keys, include) {
        true => shared_btree(&groups(rows, keys), keys),
        false => {
            let tuple = tuple_bytes(keys.iter().chain(include));
            pages_bytes(rows * (tuple + LINE_POINTER), tuple_bytes(keys.iter()))
        }
    }
}

/// Equal keys share a tuple.
fn is_shared(keys: &[SizedColumn], include: &[SizedColumn]) -> bool {
    include.is_empty() && keys.iter().all(|key| key.deduplicates)
}

/// Bytes of a new btree in which rows of equal keys share a tuple.
fn shared_btree(groups: &[RowGroups], keys: &[SizedColumn]) -> f64 {
    let tuple = tuple_bytes(keys.iter());
    let of = |groups: &RowGroups| groups.count * group_bytes(tuple, groups.rows);
    pages_bytes(groups.iter().map(of).sum(), tuple)
}

/// Bytes of all pages over leaves with so much in them, where `pivot` is the size of what tells them apart.
fn pages_bytes(leaf_bytes: f64, pivot: f64) -> f64 {
    // The highest key of a leaf stands at its front.
    let leaf_room = PAGE - PAGE_OVERHEAD - PAGE * LEAF_FREE - (pivot + LINE_POINTER);
    let leaves = (leaf_bytes / leaf_room).ceil().max(1.0);
    let mut pages = leaves;
    let mut level = leaves;
    let fan_out = ((PAGE - PAGE_OVERHEAD - PAGE * INNER_FREE) / (pivot + LINE_POINTER)).max(2.0);
    while level > 1.0 {
        level = (level / fan_out).ceil();
        pages += level;
    }
    // And the page that tells where the root is.
    (pages + 1.0) * PAGE
}

/// Mean size of a tuple that holds these values. Alignment makes steps of what varies, so the mean of the sizes
/// is not the size of the mean: all places that a value can begin at are followed.
fn tuple_bytes<'p>(parts: impl Iterator<Item = &'p SizedColumn>) -> f64 {
    // Of tuples that are so long up to here, with a null in them or without: their share.
    let mut tuples: BTreeMap<(bool, u32), f64> = BTreeMap::from([((false, 0), 1.0)]);
    for part in parts {
        let lengths = lengths(part);
        let mut longer: BTreeMap<(bool, u32), f64> = BTreeMap::new();
        for ((has_null, bytes), share) in tuples {
            if part.null_fraction > 0.0 {
                *longer.entry((true, bytes)).or_default() += share * part.null_fraction;
            }
            let begin = bytes.next_multiple_of(part.alignment_bytes as u32);
            for (length, of_values) in &lengths {
                let share = share * (1.0 - part.null_fraction) * of_values;
                *longer.entry((has_null, begin + length)).or_default() += share;
            }
        }
        tuples = longer;
    }
    // A tuple with a null has a bitmap, which alignment turns into eight bytes.
    let whole = |has_null: bool| TUPLE_HEADER + if has_null { 8.0 } else { 0.0 };
    let sizes = tuples
        .into_iter()
        .map(|((has_null, bytes), share)| share * (whole(has_null) + align(f64::from(bytes), 8.0)));
    sizes.sum()
}

/// Lengths of the values, bytes, with their shares: spread evenly around the mean as far as they deviate.
fn lengths(part: &SizedColumn) -> BTreeMap<u32, f64> {
    const STEPS: i32 = 16;
    let spread = part.deviation_bytes * f64::sqrt(3.0);
    let mut lengths = BTreeMap::new();
    for step in 0..STEPS {
        let at = f64::from(2 * step - STEPS + 1) / f64::from(STEPS);
        let length = (part.width_bytes + spread * at).round().max(0.0) as u32;
        *lengths.entry(length).or_default() += 1.0 / f64::from(STEPS);
    }
    lengths
}

/// The next multiple of `to`.
pub(super) fn align(bytes: f64, to: f64) -> f64 {
    (bytes / to).ceil() * to
}

/// Bytes of the tuples of one key with `size` rows.
fn group_bytes(tuple: f64, size: f64) -> f64 {
    let most = ((MOST_SHARED - tuple) / ROW_POINTER).floor().max(1.0);
    let shared = |rows: f64| {
        // Between one row and two there is a mix of groups of one and of two.
        let several = align(tuple + ROW_POINTER * rows.max(2.0), 8.0) + LINE_POINTER;
        let one = tuple + LINE_POINTER;
        if rows < 2.0 { one + (several - one) * (rows - 1.0).max(0.0) } else { several }
    };
    let full = (size / most).floor();
    let rest = size - full * most;
    full * shared(most) + if rest >= 0.5 { shared(rest.max(1.0)) } else { 0.0 }
}

/// Groups of rows with equal keys: how many, and how large.
///
/// Columns count as independent. A group of the first keys meets a value of the next with the value's
/// share, so that a frequent value fills every group and a rare one few of them.
fn groups(rows: f64, keys: &[SizedColumn]) -> Vec<RowGroups> {
    let mut groups = vec![RowGroups { count: 1.0, rows }];
    for (at, key) in keys.iter().enumerate() {
        let shares = shares(rows, key);
        let mut finer: BTreeMap<i64, (f64, f64)> = BTreeMap::new();
        for RowGroups { count, rows: size } in groups {
            for (values, share) in &shares {
                let expected = size * share;
                // Every value of the first key is there. Of its pairs with those of the next, as many as some
                // row has.
                let present = if at == 0 { 1.0 } else { present(rows, size, rows * share) };
                let (pairs, size) = (count * values * present, (expected / present).max(1.0));
                if pairs < 1e-6 {
                    continue;
                }
                // Groups of about the same size are one, so that there stay few.
                let bucket = (size.ln() * 8.0).round() as i64;
                let (known, rows) = finer.entry(bucket).or_default();
                *known += pairs;
                *rows += pairs * size;
            }
        }
        groups = finer
            .into_values()
            .map(|(count, rows)| RowGroups { count, rows: rows / count })
            .collect();
    }
    groups
}

/// Probability that of two sets of rows, drawn independently, some row is in both: that none of the smaller is in
/// the larger, one after the other (the hypergeometric distribution, drawn with replacement).
fn present(rows: f64, one: f64, other: f64) -> f64 {
    let (few, many) = (one.min(other), one.max(other));
    -(few * f64::ln_1p(-(many / rows).min(1.0))).exp_m1()
}

/// How many values have which share of the rows; null is one of them.
fn shares(rows: f64, key: &SizedColumn) -> Vec<(f64, f64)> {
    let mut shares: Vec<(f64, f64)> = key.frequencies.iter().map(|share| (1.0, *share)).collect();
    if key.null_fraction > 0.0 {
        shares.push((1.0, key.null_fraction));
    }
    let mut rest = 1.0 - shares.iter().map(|(_, share)| share).sum::<f64>();
    let mut values = (key.distinct - key.frequencies.len() as f64).min(rest * rows);
    if let Some(once) = key.once.filter(|once| *once < values && *once < rest * rows) {
        shares.push((once, 1.0 / rows));
        values -= once;
        rest -= once / rows;
    }
    if rest * rows >= 1.0 && values >= 1.0 {
        shares.push((values, rest / values));
    }
    shares
}

/// Bytes an index would take over `rows` rows of its table.
pub fn index_bytes(table: &Table, def: &IndexDef, rows: f64) -> f64 {
    match &def.method {
        // Bytes a row in measurements of titles, addresses, documents and tags.
        AccessMethod::Gin => {
            let of_key = |key: &IndexKey| {
                let part = match key.operator_class.as_deref() {
                    Some("gin_trgm_ops") => 2.0,
                    _ => 0.25,
                };
                rows * key_width(table, key) * part
            };
            def.keys.iter().map(of_key).sum()
        }
        AccessMethod::Gist => rows * gist_row_bytes(table, &def.keys[0]),
        AccessMethod::Brin => 8_192.0 * 3.0,
        AccessMethod::Hash => hash_bytes(rows),
        _ => {
            let (mut keys, include) = parts(table, def, rows);
            keys.extend(partition(table));
            btree(rows, &keys, &include) + begun_pages(table)
        }
    }
}

/// Size of a hash index as it is built: as many buckets of a page as fill three quarters of it, rounded up to a power of
/// two, and to a quarter of the next one beyond 1,024 (`_hash_init` and `_hash_spareindex` in PostgreSQL).
fn hash_bytes(rows: f64) -> f64 {
    const ROWS_A_PAGE: f64 = 307.0;
    let asked = (rows / ROWS_A_PAGE).max(2.0);
    let next = asked.log2().ceil().exp2();
    let step = if next > 1_024.0 { next / 8.0 } else { next };
    let buckets = (asked / step).ceil() * step;
    // The first page and the one that says which are free.
    (buckets + 2.0) * 8_192.0
}

/// Bytes that a row takes in a GiST index: a tuple with what the class keeps of the value, and the room that it
/// leaves in pages. Points are sorted first, which fills them; elsewhere splits leave them half to two thirds full, as
/// measured of ranges, boxes, addresses and texts.
fn gist_row_bytes(table: &Table, key: &IndexKey) -> f64 {
    let column = table.column(&key.expression);
    let width = key_width(table, key);
    let (kept, headroom) = match column.map(|column| column.type_name.as_str()) {
        // A box.
        Some("point") => (32.0, 1.5),
        Some("inet" | "cidr") => (width, 1.45),
        // All trigrams of three bytes.
        _ if key.operator_class.is_some() => (3.0 * (width + 1.0) + 5.0, 1.8),
        _ => (width, 1.8),
    };
    (align(TUPLE_HEADER + kept, 8.0) + LINE_POINTER) * headroom
}

/// Rows of one partition share nothing with those of another, as if what tells them apart were a key.
fn partition(table: &Table) -> Option<SizedColumn> {
    (table.partitions.len() > 1).then(|| SizedColumn {
        width_bytes: 0.0,
        alignment_bytes: 1.0,
        deviation_bytes: 0.0,
        null_fraction: 0.0,
        distinct: table.partitions.len() as f64,
        once: None,
        frequencies: Vec::new(),
        deduplicates: true,
    })
}

/// Bytes of the pages that the index of each further partition has begun, and of the one that tells where its
/// root is.
fn begun_pages(table: &Table) -> f64 {
    table.partitions.len().saturating_sub(1) as f64 * 1.5 * PAGE
}

/// Bytes a btree would take over the rows of these groups, each of which agrees in all keys and lies in one
/// partition.
pub fn btree_bytes(table: &Table, def: &IndexDef, groups: &[RowGroups]) -> f64 {
    let rows = groups.iter().map(|groups| groups.count * groups.rows).sum();
    let (keys, include) = parts(table, def, rows);
    let of_rows = match is_shared(&keys, &include) {
        true => shared_btree(groups, &keys),
        false => btree(rows, &keys, &include),
    };
    of_rows + begun_pages(table)
}

/// Keys and included columns of an index over `rows` rows of its table.
fn parts(table: &Table, def: &IndexDef, rows: f64) -> (Vec<SizedColumn>, Vec<SizedColumn>) {
    let part = |name: &str| table.column(name).map(|column| SizedColumn::column(table, column));
    let all = table.rows.unwrap_or(rows).max(rows).max(1.0);
    let of_rows = |mut part: SizedColumn| {
        // Of a value with several rows, one is enough for it to be among these.
        let rows_a_value = all / part.distinct.max(1.0);
        let present = -(rows_a_value * f64::ln_1p(-(rows / all).min(1.0))).exp_m1();
        part.distinct = (part.distinct * present).clamp(1.0, rows.max(1.0));
        part.once = part.once.filter(|_| rows >= all);
        part
    };
    // An expression is one of the columns where it was measured.
    let key = |key: &IndexKey| {
        part(&key.expression).unwrap_or_else(|| expression_part(table, &key.expression))
    };
    let keys = def.keys.iter().map(|own| of_rows(key(own))).collect();
    let include = def.include.iter().filter_map(|column| part(column)).map(of_rows).collect();
    (keys, include)
}

/// Bytes of a key, or of the columns that an expression is made of.
pub fn key_width(table: &Table, key: &IndexKey) -> f64 {
    let columns = table.columns.iter().filter(|column| key.is_of(&column.name));
    columns.map(|column| column.width_bytes.map_or(32.0, f64::from)).sum()
}

/// An expression has no statistics before it is indexed; the column in it stands for one that was not
/// measured.
fn expression_part(table: &Table, expression: &str) -> SizedColumn {
    let column = table.columns.iter().find(|column| mentions(expression, &column.name));
    let document = column.is_some_and(|column| column.type_name == "jsonb");
    match column {
        Some(column) if !document => SizedColumn::column(table, column),
        _ => SizedColumn {
            width_bytes: 9.0,
            alignment_bytes: 1.0,
            deviation_bytes: 1.0,
            null_fraction: 0.0,
            distinct: 1_000.0,
            once: None,
            frequencies: Vec::new(),
            deduplicates: true,
        },
    }
}
