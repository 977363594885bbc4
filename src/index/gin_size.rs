//! Size of a GIN index by the layout of its pages: a tree of keys, each with the rows that hold it beside it or,
//! where these are many, in pages of their own (`src/backend/access/gin/README` of PostgreSQL).

use super::size::{LINE_POINTER, PAGE, TUPLE_HEADER, align};
use crate::model::catalog::Table;
use crate::model::whatif::KeyGroups;

/// Room for tuples in a page of keys, bytes.
const KEY_ROOM: f64 = 8_160.0;
/// Room for rows in a page that has only these, bytes; a build fills it.
const ROWS_ROOM: f64 = 8_100.0;
/// A key that takes more with its rows has them in pages of their own, bytes (`GinMaxItemSize`).
const MOST_BESIDE: f64 = 2_712.0;
/// The first row of a list, with the length of the list, bytes.
const FIRST_ROW: f64 = 8.0;
/// Pages ahead up to which the step from one row to the next takes two and three bytes: seven bits a byte,
/// eleven of them for the place in a page.
const TWO_BYTES_PAGES: f64 = 8.0;
const THREE_BYTES_PAGES: f64 = 1_024.0;
/// Rows of a page where the size of the table is not known.
const ROWS_A_PAGE: f64 = 40.0;

/// Bytes of a new index with these keys, each of one partition.
pub fn gin_bytes(table: &Table, keys: &[KeyGroups]) -> f64 {
    let partitions = table.partitions.len().max(1) as f64;
    let rows = (table.rows.unwrap_or(1.0) / partitions).max(1.0);
    let bytes = table.size_bytes.map(|bytes| bytes as f64 / partitions);
    let pages = bytes.map_or(rows / ROWS_A_PAGE, |bytes| bytes / PAGE);
    let rows_a_page = (rows / pages.max(1.0)).max(1.0);
    let (mut beside, mut beside_squared, mut own_pages) = (0.0, 0.0, 0.0);
    for keys in keys {
        let key = align(TUPLE_HEADER + keys.key_bytes, 2.0);
        let list = list_bytes(keys, keys.rows / rows, rows_a_page);
        let tuple = align(key + list, 8.0) + LINE_POINTER;
        let tuple = match tuple <= MOST_BESIDE {
            true => tuple,
            false => {
                let leaves = (list / ROWS_ROOM).ceil();
                // Of several pages one is above the others.
                own_pages += keys.count * if leaves > 1.0 { leaves + 1.0 } else { 1.0 };
                // Where the list goes on is written beside the key.
                align(key + FIRST_ROW, 8.0) + LINE_POINTER
            }
        };
        beside += keys.count * tuple;
        beside_squared += keys.count * tuple * tuple;
    }
    let mean_beside = if beside > 0.0 { beside_squared / beside } else { 0.0 };
    let key_pages = (beside / left_bytes(mean_beside)).ceil();
    // A page of keys is named in the one above it, some hundreds to a page; and two tell of the whole.
    (own_pages + key_pages * 1.01 + 2.0 * partitions) * PAGE
}

/// Bytes that stay in a page of keys, in tuples of this mean size. Keys come in their order while an index is
/// built, and of a page that is full what makes up half of it stays, with the tuple that reaches over the middle
/// (`entrySplitPage`): half of that one, and half of half a tuple that was too much for the page.
fn left_bytes(tuple: f64) -> f64 {
    (KEY_ROOM + 1.5 * tuple) / 2.0
}

/// Bytes of the list of the rows that hold one key, as steps from each to the next. `part` of all rows hold it.
fn list_bytes(keys: &KeyGroups, part: f64, rows_a_page: f64) -> f64 {
    let part = part.min(1.0);
    let no_row_in_a_page = (1.0 - part).powf(rows_a_page);
    let evenly = || 1.0 - (1.0 - no_row_in_a_page) / (rows_a_page * part);
    let same_page = keys.same_page.unwrap_or_else(evenly).clamp(0.0, 1.0);
    let further = |pages: f64| no_row_in_a_page.powf(pages - 1.0);
    let to_another = 2.0 + further(TWO_BYTES_PAGES) + further(THREE_BYTES_PAGES);
    FIRST_ROW + (keys.rows - 1.0).max(0.0) * (same_page + (1.0 - same_page) * to_another)
}
