//! Aggregates of a select list.

use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, SelectItem, Visit, Visitor,
};

use super::scope::last_name;

/// Functions that make one value of many rows.
const AGGREGATES: &[&str] = &[
    "count",
    "sum",
    "avg",
    "min",
    "max",
    "bool_and",
    "bool_or",
    "every",
    "array_agg",
    "string_agg",
    "json_agg",
    "jsonb_agg",
    "json_object_agg",
    "jsonb_object_agg",
    "stddev",
    "variance",
];

/// Some item of a select list is an aggregate and no window.
pub fn aggregates(items: &[SelectItem]) -> bool {
    items.iter().any(|item| match item {
        SelectItem::UnnamedExpr(Expr::Function(function))
        | SelectItem::ExprWithAlias { expr: Expr::Function(function), .. } => {
            let name = last_name(&function.name).unwrap_or_default();
            function.over.is_none() && AGGREGATES.contains(&name.as_str())
        }
        _ => false,
    })
}

/// Returns the argument of the `min` or `max` that is the only entry of a select list.
pub fn extreme(items: &[SelectItem]) -> Option<Expr> {
    struct Extremes {
        of: Vec<Expr>,
        other: bool,
    }
    impl Visitor for Extremes {
        type Break = ();
        fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
            self.other = true;
            ControlFlow::Break(())
        }
        fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
            let Expr::Function(function) = expr else { return ControlFlow::Continue(()) };
            let name = last_name(&function.name).unwrap_or_default();
            if !AGGREGATES.contains(&name.as_str()) {
                return ControlFlow::Continue(());
            }
            let is_plain = function.over.is_none() && function.filter.is_none();
            match &function.args {
                FunctionArguments::List(list) if is_plain && matches!(&*name, "min" | "max") => {
                    match &list.args[..] {
                        [FunctionArg::Unnamed(FunctionArgExpr::Expr(of))] => {
                            self.of.push(of.clone());
                        }
                        _ => self.other = true,
                    }
                }
                _ => self.other = true,
            }
            ControlFlow::Continue(())
        }
    }
    let mut extremes = Extremes { of: Vec::new(), other: false };
    for item in items {
        let _ = item.visit(&mut extremes);
    }
    let first = extremes.of.first().filter(|_| !extremes.other)?;
    extremes.of.iter().all(|of| of == first).then(|| first.clone())
}
