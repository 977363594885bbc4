//! Immutable expressions, which an index can hold.
//!
//! PostgreSQL refuses an index on anything that is not marked `IMMUTABLE`, and what a function is
//! marked as hangs on the types it is called with: `date_trunc('day', t)` is immutable for a
//! `timestamp` and not for a `timestamptz`, which depends on the time zone of the session. So the types
//! are followed from the columns up; what is not known for certain is no candidate. Source: `pg_proc`
//! and `pg_cast` of PostgreSQL 12 to 18.

use sqlparser::ast::{
    AccessExpr, BinaryOperator, DataType, Expr, Function, FunctionArguments, ObjectName,
    TrimWhereField, Value,
};

use crate::model::catalog::{Table, UserFunction};
use crate::model::workload::literal::Literal;
use crate::sql::expression::types::TypeClass;
use crate::sql::lex::identifier::{quote, quote_literal};
use crate::sql::parse::parser::parse_expression;
use crate::sql::resolve::expr_walk::arguments;
use crate::sql::resolve::scope::{fold, part};

/// An expression as an index can hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Indexable {
    pub sql: String,
    pub kind: TypeClass,
    /// Binds less tightly than a call, so that parentheses belong around it as an operand.
    is_loose: bool,
}

impl Indexable {
    fn tight(sql: String, kind: TypeClass) -> Option<Indexable> {
        Some(Indexable { sql, kind, is_loose: false })
    }

    fn loose(sql: String, kind: TypeClass) -> Option<Indexable> {
        Some(Indexable { sql, kind, is_loose: true })
    }

    /// A constant of more letters and digits than what separates names has.
    fn may_be_secret(&self) -> bool {
        const SEPARATOR: usize = 3;
        let letters = self.sql.chars().filter(|c| c.is_alphanumeric()).count();
        self.kind == TypeClass::Constant && self.sql.starts_with('\'') && letters > SEPARATOR
    }

    fn operand(&self) -> String {
        if self.is_loose { format!("({})", self.sql) } else { self.sql.clone() }
    }

    /// As an operand beside another kind. A whole number beside a decimal one is quoted, which makes it
    /// decimal from the start: HypoPG does not work out the cast that stands there otherwise, and would
    /// not know the expression again.
    fn beside(&self, other: TypeClass) -> String {
        let is_number =
            self.kind == TypeClass::Constant && self.sql.starts_with(|c: char| c.is_ascii_digit());
        if is_number && other == TypeClass::Decimal {
            return format!("'{}'", self.sql);
        }
        self.operand()
    }
}

/// The expression with its constants in place, if it is known to be immutable. `constant` says what
/// stands for a `$n` as SQL; `None` where that varies.
pub fn indexable(
    sql: &str,
    table: &Table,
    functions: &[UserFunction],
    constant: &dyn Fn(&str) -> Option<String>,
) -> Option<Indexable> {
    ImmutabilityChecker { table, functions, constant }.read(&parse_expression(sql).ok()?)
}

/// An expression that ends with `COLLATE`, in its two parts.
pub fn without_collation(sql: &str) -> Option<(String, String)> {
    match parse_expression(sql).ok()? {
        Expr::Collate { expr, collation } => Some((expr.to_string(), collation.to_string())),
        _ => None,
    }
}

/// The name of the column that is all of the expression.
pub fn column_name(sql: &str) -> Option<String> {
    match parse_expression(sql).ok()? {
        Expr::Identifier(ident) => Some(fold(&ident)),
        _ => None,
    }
}

struct ImmutabilityChecker<'r> {
    table: &'r Table,
    functions: &'r [UserFunction],
    constant: &'r dyn Fn(&str) -> Option<String>,
}

impl ImmutabilityChecker<'_> {
    fn read(&self, expr: &Expr) -> Option<Indexable> {
        match expr {
            Expr::Nested(inner) => self.read(inner),
            Expr::Identifier(ident) => {
                let column = self.table.column(&fold(ident))?;
                Indexable::tight(quote(&column.name), TypeClass::of(&column.type_name))
            }
            Expr::Value(value) => Indexable::tight(self.value(&value.value)?, TypeClass::Constant),
            Expr::Cast { expr, data_type, .. } => self.cast(expr, data_type),
            Expr::BinaryOp { left, op, right } => self.operation(left, op, right),
            Expr::Function(function) => self.call(function),
            Expr::CompoundFieldAccess { root, access_chain } => self.field(root, access_chain),
            Expr::Extract { field, expr, .. } => {
                let inner = self.read(expr)?;
                let fits = matches!(inner.kind, TypeClass::Timestamp | TypeClass::Date);
                let sql =
                    format!("extract({} from {})", field.to_string().to_lowercase(), inner.sql);
                if fits { Indexable::tight(sql, TypeClass::Decimal) } else { None }
            }
            Expr::Collate { expr, collation } => {
                let inner = self.read(expr)?;
                let sql = format!("{} COLLATE {collation}", inner.operand());
                if inner.kind == TypeClass::Text {
                    Indexable::loose(sql, TypeClass::Text)
                } else {
                    None
                }
            }
            Expr::Ceil { expr, .. } => self.named("ceil", &[self.read(expr)?]),
            Expr::Floor { expr, .. } => self.named("floor", &[self.read(expr)?]),
            Expr::Trim { expr, trim_where, trim_what: None, trim_characters: None } => {
                let name = match trim_where {
                    Some(TrimWhereField::Leading) => "ltrim",
                    Some(TrimWhereField::Trailing) => "rtrim",
                    _ => "btrim",
                };
                self.named(name, &[self.read(expr)?])
            }
            Expr::Substring { expr, substring_from, substring_for, .. } => {
                let mut parts = vec![self.read(expr)?];
                for part in [substring_from, substring_for].into_iter().flatten() {
                    parts.push(self.read(part)?);
                }
                self.named("substring", &parts)
            }
            Expr::AtTimeZone { timestamp, time_zone } => {
                let (inner, zone) = (self.read(timestamp)?, self.read(time_zone)?);
                let kind = match (inner.kind, zone.kind) {
                    (TypeClass::TimestampTz, TypeClass::Constant) => TypeClass::Timestamp,
                    (TypeClass::Timestamp, TypeClass::Constant) => TypeClass::TimestampTz,
                    _ => return None,
                };
                Indexable::loose(format!("{} at time zone {}", inner.operand(), zone.sql), kind)
            }
            _ => None,
        }
    }

    /// A part of a composite value, whose kind nothing here tells.
    fn field(&self, root: &Expr, path: &[AccessExpr]) -> Option<Indexable> {
        let mut sql = format!("({})", self.read(root)?.sql);
        for part in path {
            let AccessExpr::Dot(Expr::Identifier(name)) = part else { return None };
            sql.push('.');
            sql.push_str(&quote(&fold(name)));
        }
        Indexable::tight(sql, TypeClass::Other)
    }

    fn value(&self, value: &Value) -> Option<String> {
        match value {
            Value::Placeholder(name) => (self.constant)(name),
            Value::Number(number, _) => Some(number.to_string()),
            Value::SingleQuotedString(text) => Some(quote_literal(&Literal::text(text.as_str()))),
            Value::Boolean(value) => Some(value.to_string()),
            _ => None,
        }
    }

    fn cast(&self, expr: &Expr, to: &DataType) -> Option<Indexable> {
        let inner = self.read(expr)?;
        let type_name = to.to_string().to_lowercase();
        let kind = TypeClass::of(&type_name);
        let is_immutable = match kind {
            // Dates and enumerations are written by the settings of the session.
            TypeClass::Text => matches!(
                inner.kind,
                TypeClass::Text
                    | TypeClass::Integer
                    | TypeClass::Bigint
                    | TypeClass::Decimal
                    | TypeClass::Boolean
                    | TypeClass::Uuid
                    | TypeClass::Document
            ),
            TypeClass::Integer | TypeClass::Bigint | TypeClass::Decimal | TypeClass::Boolean => {
                inner.kind.is_number()
                    || matches!(
                        inner.kind,
                        TypeClass::Text | TypeClass::Boolean | TypeClass::Document
                    )
            }
            TypeClass::Date | TypeClass::Timestamp => {
                matches!(inner.kind, TypeClass::Timestamp | TypeClass::Date)
            }
            TypeClass::Uuid | TypeClass::Document => {
                inner.kind.is_like(TypeClass::Text) || inner.kind == kind
            }
            _ => inner.kind == kind && kind != TypeClass::Other,
        };
        let is_constant = inner.kind == TypeClass::Constant && kind != TypeClass::Other;
        if !is_immutable && !is_constant {
            return None;
        }
        // What a constant is cast to may depend on the session as well: `'today'::date`.
        let is_by_session =
            matches!(kind, TypeClass::Date | TypeClass::Timestamp | TypeClass::TimestampTz);
        if is_constant && is_by_session {
            return None;
        }
        let kind = if is_constant { TypeClass::Constant } else { kind };
        Indexable::tight(format!("{}::{type_name}", inner.operand()), kind)
    }

    fn operation(&self, left: &Expr, op: &BinaryOperator, right: &Expr) -> Option<Indexable> {
        use BinaryOperator as Op;
        let (left, right) = (self.read(left)?, self.read(right)?);
        let both = |kind: TypeClass| left.kind.is_like(kind) && right.kind.is_like(kind);
        let kind = match op {
            Op::Arrow | Op::HashArrow => {
                return part_of_document(&left, op, &right, TypeClass::Document);
            }
            Op::LongArrow | Op::HashLongArrow => {
                return part_of_document(&left, op, &right, TypeClass::Text);
            }
            // It may be what makes a hash hard to guess, and an index would show it to everybody.
            Op::StringConcat if [&left, &right].iter().any(|side| side.may_be_secret()) => {
                return None;
            }
            Op::StringConcat if both(TypeClass::Text) => TypeClass::Text,
            Op::StringConcat if both(TypeClass::Words) => TypeClass::Words,
            Op::Plus | Op::Minus | Op::Multiply | Op::Divide | Op::Modulo => {
                let kind = number(&[left.kind, right.kind])?;
                let (left, right) = (left.beside(right.kind), right.beside(left.kind));
                return Indexable::loose(format!("{left} {op} {right}"), kind);
            }
            _ => return None,
        };
        Indexable::loose(format!("{} {op} {}", left.operand(), right.operand()), kind)
    }

    fn call(&self, function: &Function) -> Option<Indexable> {
        let plain = function.over.is_none()
            && function.filter.is_none()
            && function.within_group.is_empty()
            && !function.uses_odbc_syntax;
        let FunctionArguments::List(list) = &function.args else { return None };
        if !plain || list.duplicate_treatment.is_some() || !list.clauses.is_empty() {
            return None;
        }
        let given = arguments(function)?.into_iter();
        let arguments = given.map(|expr| self.read(expr)).collect::<Option<Vec<Indexable>>>()?;
        let name = function.name.to_string().to_lowercase();
        self.named(name.strip_prefix("pg_catalog.").unwrap_or(&name), &arguments)
            .or_else(|| self.own(&function.name, &arguments))
    }

    /// A call of a function that is not the server's own. All that could be meant have to be declared immutable, and
    /// to give the same type.
    fn own(&self, name: &ObjectName, arguments: &[Indexable]) -> Option<Indexable> {
        let parts: Vec<String> = name.0.iter().filter_map(part).collect();
        let (called, schema) = parts.split_last()?;
        let mut meant = self.functions.iter().filter(|own| {
            own.name == *called
                && schema.last().is_none_or(|schema| own.schema == *schema)
                && (own.least_arguments..=own.most_arguments).contains(&arguments.len())
        });
        let first = meant.next().filter(|own| own.immutable)?;
        let is_sure = meant.all(|own| own.immutable && own.returns == first.returns);
        let kind = TypeClass::of(&first.returns);
        if !is_sure || kind == TypeClass::Other {
            return None;
        }
        let written: Vec<String> = parts.iter().map(|part| quote(part)).collect();
        let all: Vec<&str> = arguments.iter().map(|argument| argument.sql.as_str()).collect();
        Indexable::tight(format!("{}({})", written.join("."), all.join(", ")), kind)
    }

    fn named(&self, name: &str, arguments: &[Indexable]) -> Option<Indexable> {
        let kinds: Vec<TypeClass> = arguments.iter().map(|argument| argument.kind).collect();
        let kind = result(name, &kinds)?;
        let is_choice = CHOICES.contains(&name);
        let spelled = |argument: &Indexable| match is_choice && argument.kind == TypeClass::Constant
        {
            // There is an operator for a large number beside a small one, and no choice between them.
            true if kind == TypeClass::Bigint && argument.sql.parse::<i64>().is_ok() => {
                format!("'{}'", argument.sql)
            }
            true => argument.beside(kind),
            false => argument.sql.clone(),
        };
        let all: Vec<String> = arguments.iter().map(spelled).collect();
        Indexable::tight(format!("{name}({})", all.join(", ")), kind)
    }
}

/// Returns the document and the path of a constant path expression. `a -> 'b' ->> 'c'` reads from left to right
/// without parentheses.
fn part_of_document(
    document: &Indexable,
    op: &BinaryOperator,
    path: &Indexable,
    kind: TypeClass,
) -> Option<Indexable> {
    let fits = document.kind == TypeClass::Document && path.kind == TypeClass::Constant;
    let sql = format!("{} {op} {}", document.sql, path.operand());
    if fits { Indexable::loose(sql, kind) } else { None }
}

/// Calls that return one of their arguments, which all become one type.
const CHOICES: [&str; 4] = ["coalesce", "nullif", "greatest", "least"];

/// The type of arithmetic on numbers; `None` where an operand is no number.
fn number(kinds: &[TypeClass]) -> Option<TypeClass> {
    let known: Vec<TypeClass> =
        kinds.iter().copied().filter(|kind| *kind != TypeClass::Constant).collect();
    let all = known.iter().all(|kind| kind.is_number());
    let widest =
        [TypeClass::Decimal, TypeClass::Bigint].into_iter().find(|kind| known.contains(kind));
    let widest = widest.or(known.first().copied())?;
    all.then_some(widest)
}

/// The type that an immutable function returns for these arguments; `None` for any other function.
fn result(name: &str, kinds: &[TypeClass]) -> Option<TypeClass> {
    if CHOICES.contains(&name) {
        let known = kinds.iter().copied().find(|kind| *kind != TypeClass::Constant)?;
        let fits = kinds.iter().all(|kind| kind.is_like(known)) || number(kinds).is_some();
        let kind = number(kinds).unwrap_or(known);
        return (fits && !matches!(kind, TypeClass::Other | TypeClass::Array)).then_some(kind);
    }
    let (first, rest) = kinds.split_first()?;
    if name == "mod" {
        return number(kinds);
    }
    if rest.is_empty() || rest.iter().all(|kind| *kind == TypeClass::Constant) {
        return of_first(name, *first);
    }
    match (name, kinds) {
        ("date_trunc", [TypeClass::Constant, TypeClass::Timestamp]) => Some(TypeClass::Timestamp),
        ("date_part", [TypeClass::Constant, TypeClass::Timestamp | TypeClass::Date]) => {
            Some(TypeClass::Decimal)
        }
        // Without the name of a configuration it is that of the session.
        ("to_tsvector", [TypeClass::Constant, TypeClass::Text | TypeClass::Document]) => {
            Some(TypeClass::Words)
        }
        _ => None,
    }
}

/// The same where all arguments behind the first are constants.
fn of_first(name: &str, first: TypeClass) -> Option<TypeClass> {
    match (first, name) {
        (
            TypeClass::Text,
            "lower" | "upper" | "initcap" | "reverse" | "md5" | "trim" | "btrim" | "ltrim"
            | "rtrim" | "left" | "right" | "lpad" | "rpad" | "replace" | "translate" | "split_part"
            | "substr" | "substring" | "regexp_replace" | "repeat",
        ) => Some(TypeClass::Text),
        (
            TypeClass::Text,
            "length" | "char_length" | "character_length" | "octet_length" | "ascii" | "strpos",
        ) => Some(TypeClass::Integer),
        (TypeClass::Integer | TypeClass::Bigint | TypeClass::Decimal, "abs") => Some(first),
        (
            TypeClass::Integer | TypeClass::Bigint | TypeClass::Decimal,
            "ceil" | "ceiling" | "floor" | "round" | "trunc" | "sign" | "sqrt",
        ) => Some(TypeClass::Decimal),
        (TypeClass::Timestamp, "date") => Some(TypeClass::Date),
        (TypeClass::Range, "lower" | "upper") => Some(TypeClass::Other),
        (TypeClass::Document, "jsonb_array_length" | "json_array_length") => {
            Some(TypeClass::Integer)
        }
        (TypeClass::Document, "jsonb_extract_path_text" | "json_extract_path_text") => {
            Some(TypeClass::Text)
        }
        (TypeClass::Array, "array_length" | "cardinality") => Some(TypeClass::Integer),
        (TypeClass::Words, "setweight") => Some(TypeClass::Words),
        _ => None,
    }
}
