//! Statements whose rows depend on the order of ties.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArgumentClause, FunctionArguments, Query, Select, Visit,
    Visitor, WindowFrameUnits, WindowType,
};

use crate::sql::parse::parser::parse;

/// Window functions that depend on the order of rows.
const BY_POSITION: [&str; 7] =
    ["row_number", "ntile", "lag", "lead", "first_value", "last_value", "nth_value"];
/// Aggregates that depend on the order of values.
const IN_ORDER: [&str; 7] = [
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "xmlagg",
];

/// Another plan may give other rows that are right as well, beyond the outermost `LIMIT`: by `DISTINCT ON`, a limit
/// further in, numbers of rows, or values in a list.
pub fn ties_decide_rows(sql: &str) -> bool {
    let Ok(statement) = parse(sql) else { return false };
    statement.visit(&mut Search { depth: 0 }).is_break()
}

struct Search {
    depth: usize,
}

impl Visitor for Search {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        let is_cut = query.fetch.is_some() || self.depth > 0 && query.limit_clause.is_some();
        self.depth += 1;
        if is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        match select.distinct {
            Some(Distinct::On(_)) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) if is_by_order(function) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

fn is_by_order(function: &Function) -> bool {
    let name = function.name.to_string().to_lowercase();
    let name = name.strip_prefix("pg_catalog.").unwrap_or(&name);
    let has_rows = match &function.over {
        Some(WindowType::WindowSpec(window)) => {
            window.window_frame.as_ref().is_some_and(|f| f.units == WindowFrameUnits::Rows)
        }
        _ => false,
    };
    let is_ordered = match &function.args {
        FunctionArguments::List(list) => {
            list.clauses.iter().any(|clause| matches!(clause, FunctionArgumentClause::OrderBy(_)))
        }
        _ => false,
    };
    has_rows
        || function.over.is_some() && BY_POSITION.contains(&name)
        || IN_ORDER.contains(&name) && !is_ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_equal_in_order_decides_about_rows() {
        for sql in [
            "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, c DESC",
            "SELECT p.id, l.k FROM p CROSS JOIN LATERAL (SELECT k FROM i WHERE i.p = p.id ORDER BY x LIMIT 1) l",
            "SELECT (SELECT b FROM u ORDER BY c LIMIT 1) FROM t",
            "WITH s AS (SELECT DISTINCT ON (a) a FROM t) SELECT * FROM s",
            "SELECT a, row_number() OVER (ORDER BY b) FROM t",
            "SELECT sum(a) OVER (ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t",
            "SELECT string_agg(a, ',') FROM t",
            "SELECT a FROM t ORDER BY b FETCH FIRST 3 ROWS ONLY",
        ] {
            assert!(ties_decide_rows(sql), "{sql}");
        }
        for sql in [
            "SELECT a FROM t ORDER BY b LIMIT 3",
            "SELECT DISTINCT a FROM t",
            "SELECT rank() OVER (ORDER BY b), sum(a) OVER (PARTITION BY c ORDER BY b) FROM t",
            "SELECT string_agg(a, ',' ORDER BY a) FROM t",
            "SELECT count(*) FROM (SELECT a FROM t WHERE b = 1) s",
        ] {
            assert!(!ties_decide_rows(sql), "{sql}");
        }
    }
}
