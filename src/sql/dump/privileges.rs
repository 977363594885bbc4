//! Owners, privileges, roles and functions in a schema file, which the parser does not read.

use super::routines::{closing, constant, routine, split};
use crate::model::access::privileges::{
    ColumnDefault, DefaultGrant, Grant, PUBLIC, Privileges, Relation, Role, Routine,
};
use crate::sql::lex::cursor::{altered, qualified, take};
use crate::sql::lex::identifier::unquote;
use crate::sql::lex::lexer::{Token, TokenKind, tokens};

const ALL: [&str; 7] =
    ["SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"];

/// Takes note of a statement, as far as it decides who reaches what.
pub(super) fn note(known: &mut Privileges, sql: &str) {
    let all: Vec<Token<'_>> = tokens(sql).collect();
    let rest = &all[..];
    let Some(first) = rest.first() else { return };
    if first.is_word("create") {
        created(known, sql, rest);
    } else if first.is_word("alter") {
        altered_object(known, rest);
    } else if first.is_word("do") {
        roles_of_block(known, rest);
    } else if first.is_word("grant") || first.is_word("revoke") {
        granted(known, rest, None);
    }
}

/// Roles that a block makes where they are missing.
fn roles_of_block(known: &mut Privileges, all: &[Token<'_>]) {
    let body = all.iter().find(|token| token.kind == TokenKind::String);
    let Some(body) = body.map(|token| constant(token.text)) else { return };
    let all: Vec<Token<'_>> = tokens(&body).collect();
    let mut from = 0;
    for (at, token) in all.iter().enumerate() {
        if token.is_word("create") || token.is_word("then") || token.is_word("begin") {
            from = if token.is_word("create") { at } else { at + 1 };
        }
        if token.is(";") && from < at {
            let part = &all[from..at];
            if part.first().is_some_and(|token| token.is_word("create")) {
                created(known, &body[part[0].start..token.start], part);
            } else if part.first().is_some_and(|token| token.is_word("grant")) {
                granted(known, part, None);
            }
            from = at + 1;
        }
    }
}

fn created(known: &mut Privileges, sql: &str, all: &[Token<'_>]) {
    let mut rest = all;
    if let Some(mut made) = routine(sql) {
        let at = known
            .routines
            .iter()
            .position(|old| old.name == made.name && old.argument_types == made.argument_types);
        if let Some(at) = at {
            made.granted_to = known.routines[at].granted_to.clone();
            known.routines[at] = made;
        } else {
            known.routines.push(made);
        }
        return;
    }
    take(&mut rest, &["create"]);
    take(&mut rest, &["or", "replace"]);
    if take(&mut rest, &["role"]) || take(&mut rest, &["user"]) {
        let Some(name) = word(&mut rest) else { return };
        let has = |option: &str| rest.iter().any(|token| token.is_word(option));
        let can_login = has("login") || (all[1].is_word("user") && !has("nologin"));
        if known.role(&name).is_none() {
            let (superuser, bypass_rls) = (has("superuser"), has("bypassrls"));
            known.roles.push(Role { name, superuser, bypass_rls, can_login, ..Role::default() });
        }
        return;
    }
    if let Some(trigger) = all.iter().position(|token| token.is_word("trigger"))
        && trigger < 4
    {
        return trigger_made(known, all);
    }
    while ["temp", "temporary", "unlogged", "materialized", "recursive"]
        .iter()
        .any(|word| take(&mut rest, &[word]))
    {}
    if !take(&mut rest, &["table"]) && !take(&mut rest, &["view"]) {
        return;
    }
    take(&mut rest, &["if", "not", "exists"]);
    let Some(name) = qualified(&mut rest) else { return };
    if known.relation(&name).is_some() {
        return;
    }
    let mut made = Relation { name, ..Relation::default() };
    if take(&mut rest, &["partition", "of"]) {
        made.part_of = qualified(&mut rest);
    } else if let Some(at) = rest.iter().position(|token| token.is_word("inherits")) {
        let mut parent = rest.get(at + 2..).unwrap_or_default();
        made.part_of = qualified(&mut parent);
    }
    made.security_invoker = is_invoker(rest);
    made.defaults = defaults(sql, rest);
    made.grants = future_grants(known, &made.name.schema);
    known.relations.push(made);
}

/// `WITH (security_invoker = true)`, or without a value.
fn is_invoker(rest: &[Token<'_>]) -> bool {
    let Some(at) = rest.iter().position(|token| token.is_word("security_invoker")) else {
        return false;
    };
    let value = rest.get(at + 1).filter(|sign| sign.is("=")).and_then(|_| rest.get(at + 2));
    value.is_none_or(|value| {
        ["true", "on", "1", "yes"].contains(&value.text.trim_matches('\'').to_lowercase().as_str())
    })
}

/// Defaults of the columns in the parentheses of a table.
fn defaults(sql: &str, rest: &[Token<'_>]) -> Vec<ColumnDefault> {
    let close = rest.first().filter(|token| token.is("(")).and_then(|_| closing(rest, 0));
    let Some(close) = close else { return Vec::new() };
    let default = |column: &[Token<'_>]| {
        let at = column.iter().position(|token| token.is_word("default"))?;
        let value = column.get(at + 1..).filter(|value| !value.is_empty())?;
        let ends = ["not", "null", "references", "unique", "primary", "check", "constraint"];
        let end = value.iter().position(|token| ends.iter().any(|end| token.is_word(end)));
        let value = &value[..end.unwrap_or(value.len())];
        let (first, last) = (value.first()?, value.last()?);
        let expression = sql[first.start..last.start + last.text.len()].to_owned();
        let is_sequence = expression.to_lowercase().starts_with("nextval");
        let column = name(column.first()?);
        (!is_sequence).then_some(ColumnDefault { column, expression })
    };
    split(&rest[1..close]).into_iter().filter_map(default).collect()
}

/// The privileges that were declared for tables to come.
fn future_grants(known: &Privileges, schema: &str) -> Vec<Grant> {
    let holds = |own: &&DefaultGrant| {
        own.objects == "tables" && own.schema.as_deref().is_none_or(|of| of == schema)
    };
    let grant = |own: &DefaultGrant| Grant {
        role: own.role.clone(),
        privilege: own.privilege.clone(),
        column: None,
    };
    known.default_grants.iter().filter(holds).map(grant).collect()
}

/// `CREATE TRIGGER name BEFORE … ON table … EXECUTE FUNCTION function()`.
fn trigger_made(known: &mut Privileges, all: &[Token<'_>]) {
    let Some(on) = all.iter().position(|token| token.is_word("on")) else { return };
    let mut rest = &all[on + 1..];
    let Some(table) = qualified(&mut rest) else { return };
    let Some(at) = rest.iter().position(|token| token.is_word("execute")) else { return };
    let mut function = rest.get(at + 2..).unwrap_or_default();
    let Some(function) = qualified(&mut function) else { return };
    let relation = known.relations.iter_mut().find(|relation| relation.name == table);
    if let Some(relation) = relation
        && !relation.triggers.contains(&function)
    {
        relation.triggers.push(function);
    }
}

fn altered_object(known: &mut Privileges, all: &[Token<'_>]) {
    let mut rest = all;
    if take(&mut rest, &["alter", "default", "privileges"]) {
        return default_privileges(known, rest);
    }
    if take(&mut rest, &["alter", "function"]) || take(&mut rest, &["alter", "procedure"]) {
        return altered_routine(known, rest);
    }
    let mut rest = all;
    let name = if take(&mut rest, &["alter", "view"])
        || take(&mut rest, &["alter", "materialized", "view"])
    {
        take(&mut rest, &["if", "exists"]);
        qualified(&mut rest)
    } else {
        altered(&mut rest)
    };
    let Some(name) = name else { return };
    let relation = known.relations.iter_mut().find(|relation| relation.name == name);
    if take(&mut rest, &["attach", "partition"]) {
        let part = qualified(&mut rest);
        let part = known.relations.iter_mut().find(|own| Some(&own.name) == part.as_ref());
        part.into_iter().for_each(|part| part.part_of = Some(name.clone()));
        return;
    }
    let Some(relation) = relation else { return };
    if take(&mut rest, &["owner", "to"]) {
        relation.owner = word(&mut rest);
    } else if rest.iter().any(|token| token.is_word("security_invoker")) {
        relation.security_invoker = is_invoker(rest) && !rest[0].is_word("reset");
    }
    for action in split(rest) {
        let has = |words: &[&str]| take(&mut &*action, words);
        if has(&["enable", "row", "level", "security"]) {
            relation.row_security = true;
        } else if has(&["disable", "row", "level", "security"]) {
            relation.row_security = false;
        } else if has(&["force", "row", "level", "security"]) {
            relation.forced = true;
        } else if has(&["no", "force", "row", "level", "security"]) {
            relation.forced = false;
        }
    }
}

fn altered_routine(known: &mut Privileges, mut rest: &[Token<'_>]) {
    let Some(routine) = named_routine(known, &mut rest) else { return };
    if take(&mut rest, &["owner", "to"]) {
        routine.owner = word(&mut rest);
    } else if take(&mut rest, &["security", "definer"]) {
        routine.definer = true;
    } else if take(&mut rest, &["security", "invoker"]) {
        routine.definer = false;
    } else if take(&mut rest, &["set", "search_path"]) {
        routine.search_path = Some(rest.iter().skip(1).map(|token| token.text).collect());
    }
}

/// The routine of a name and the types behind it, from the front.
fn named_routine<'k>(
    known: &'k mut Privileges,
    rest: &mut &[Token<'_>],
) -> Option<&'k mut Routine> {
    let name = qualified(rest)?;
    let mut count = None;
    if rest.first().is_some_and(|token| token.is("(")) {
        let close = closing(rest, 0)?;
        count = Some(split(&rest[1..close]).len());
        *rest = &rest[close + 1..];
    }
    known.routines.iter_mut().find(|routine| {
        routine.name == name && count.is_none_or(|count| routine.arguments.len() == count)
    })
}

fn default_privileges(known: &mut Privileges, mut rest: &[Token<'_>]) {
    let mut schemas = Vec::new();
    loop {
        if take(&mut rest, &["for", "role"]) || take(&mut rest, &["for", "user"]) {
            words(&mut rest);
        } else if take(&mut rest, &["in", "schema"]) {
            schemas = self::schemas(&mut rest);
        } else {
            break;
        }
    }
    granted(known, rest, Some(&schemas));
}

/// `GRANT … ON … TO …`, `REVOKE … ON … FROM …`, and the membership of roles. `future` holds the schemas of
/// `ALTER DEFAULT PRIVILEGES`.
fn granted(known: &mut Privileges, all: &[Token<'_>], future: Option<&[String]>) {
    let gives = all.first().is_some_and(|token| token.is_word("grant"));
    let mut rest = all.get(1..).unwrap_or_default();
    take(&mut rest, &["grant", "option", "for"]);
    let to = if gives { "to" } else { "from" };
    let on = rest.iter().position(|token| token.is_word("on"));
    let Some(at) = rest.iter().rposition(|token| token.is_word(to)) else { return };
    let mut roles = &rest[at + 1..];
    let roles = words(&mut roles);
    let Some(on) = on.filter(|on| *on < at) else {
        // Roles are members of roles.
        let mut groups = rest;
        for group in words(&mut groups) {
            for member in known.roles.iter_mut().filter(|role| roles.contains(&role.name)) {
                match gives {
                    true if !member.member_of.contains(&group) => {
                        member.member_of.push(group.clone())
                    }
                    true => {}
                    false => member.member_of.retain(|known| *known != group),
                }
            }
        }
        return;
    };
    let privileges = privileges(&rest[..on]);
    let mut object = &rest[on + 1..at];
    if let Some(schemas) = future {
        let objects = object.first().map_or(String::new(), |token| token.text.to_lowercase());
        return future_change(known, gives, &privileges, (schemas, &objects), &roles);
    }
    if take(&mut object, &["all", "tables", "in", "schema"]) {
        let schemas = self::schemas(&mut object);
        for relation in known.relations.iter_mut().filter(|own| schemas.contains(&own.name.schema))
        {
            change(&mut relation.grants, gives, &privileges, &roles);
        }
        return;
    }
    let all_routines = ["functions", "routines", "procedures"]
        .iter()
        .any(|what| take(&mut object, &["all", what, "in", "schema"]));
    if all_routines {
        let schemas = self::schemas(&mut object);
        let own = known.routines.iter_mut().filter(|own| schemas.contains(&own.name.schema));
        return own.for_each(|routine| change_roles(&mut routine.granted_to, gives, &roles));
    }
    if ["function", "routine", "procedure"].iter().any(|what| take(&mut object, &[what])) {
        while let Some(routine) = named_routine(known, &mut object) {
            change_roles(&mut routine.granted_to, gives, &roles);
            object = object.get(1..).unwrap_or_default();
        }
        return;
    }
    take(&mut object, &["table"]);
    for mut part in split(object) {
        let Some(name) = qualified(&mut part) else { continue };
        let relation = known.relations.iter_mut().find(|relation| relation.name == name);
        relation.into_iter().for_each(|own| change(&mut own.grants, gives, &privileges, &roles));
    }
}

/// Privileges with their columns.
fn privileges(list: &[Token<'_>]) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    for part in split(list) {
        let Some(first) = part.first() else { continue };
        let named: Vec<String> = match first.is_word("all") {
            true => ALL.iter().map(|own| (*own).to_owned()).chain(["EXECUTE".to_owned()]).collect(),
            false => vec![first.text.to_uppercase()],
        };
        let open = part.iter().position(|token| token.is("("));
        let columns: Vec<Option<String>> = match open {
            Some(open) => {
                let close = closing(part, open).unwrap_or(part.len());
                let columns = split(&part[open + 1..close]);
                columns.iter().filter_map(|column| Some(Some(name(column.first()?)))).collect()
            }
            None => vec![None],
        };
        for privilege in named {
            found.extend(columns.iter().map(|column| (privilege.clone(), column.clone())));
        }
    }
    found
}

fn change(
    grants: &mut Vec<Grant>,
    gives: bool,
    privileges: &[(String, Option<String>)],
    roles: &[String],
) {
    for role in roles {
        for (privilege, column) in privileges.iter().filter(|(own, _)| own != "EXECUTE") {
            if !gives {
                // A privilege on the whole relation goes with those on its columns, and not the other way round.
                grants.retain(|own| {
                    own.role != *role
                        || own.privilege != *privilege
                        || column.as_ref().is_some_and(|column| own.column.as_ref() != Some(column))
                });
                continue;
            }
            let own =
                Grant { role: role.clone(), privilege: privilege.clone(), column: column.clone() };
            if !grants.contains(&own) {
                grants.push(own);
            }
        }
    }
}

fn change_roles(known: &mut Vec<String>, gives: bool, roles: &[String]) {
    known.retain(|own| gives || !roles.contains(own));
    if gives {
        let new: Vec<&String> = roles.iter().filter(|role| !known.contains(role)).collect();
        let new: Vec<String> = new.into_iter().cloned().collect();
        known.extend(new);
    }
}

fn future_change(
    known: &mut Privileges,
    gives: bool,
    privileges: &[(String, Option<String>)],
    (schemas, objects): (&[String], &str),
    roles: &[String],
) {
    let schemas: Vec<Option<String>> = match schemas.is_empty() {
        true => vec![None],
        false => schemas.iter().cloned().map(Some).collect(),
    };
    for schema in &schemas {
        for role in roles {
            for (privilege, _) in privileges {
                if (privilege == "EXECUTE") != (objects == "functions" || objects == "routines") {
                    continue;
                }
                let own = DefaultGrant {
                    schema: schema.clone(),
                    objects: objects.to_owned(),
                    role: role.clone(),
                    privilege: privilege.clone(),
                };
                known.default_grants.retain(|old| *old != own);
                if gives {
                    known.default_grants.push(own);
                }
            }
        }
    }
}

/// One role from the front, as the catalog has it; [`PUBLIC`] in capitals.
fn word(rest: &mut &[Token<'_>]) -> Option<String> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(if first.is_word("public") { PUBLIC.to_owned() } else { name(first) })
}

/// Schemas between commas from the front.
fn schemas(rest: &mut &[Token<'_>]) -> Vec<String> {
    let own = |name: String| if name == PUBLIC { "public".to_owned() } else { name };
    words(rest).into_iter().map(own).collect()
}

/// Roles between commas from the front.
fn words(rest: &mut &[Token<'_>]) -> Vec<String> {
    let mut found = Vec::new();
    loop {
        take(rest, &["group"]);
        let Some(name) = word(rest) else { break };
        found.push(name);
        match rest.split_first() {
            Some((comma, after)) if comma.is(",") => *rest = after,
            _ => break,
        }
    }
    found
}

fn name(token: &Token<'_>) -> String {
    match token.kind {
        TokenKind::QuotedIdent => unquote(token.text),
        _ => token.text.to_lowercase(),
    }
}
