//! Recognizes the object mapper that wrote a statement, and how that one loads rows ahead.
//!
//! Only for advice: no rule decides by it.

use crate::sql::lex::lexer::{Token, TokenKind, tokens};

/// An object mapper, and its words for loading rows ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapper {
    pub name: &'static str,
    pub preload: &'static str,
}

const fn mapper(name: &'static str, preload: &'static str) -> Mapper {
    Mapper { name, preload }
}

const ACTIVE_RECORD: Mapper =
    mapper("ActiveRecord", "includes(:association) or preload(:association)");
const DJANGO: Mapper =
    mapper("Django", "select_related('field') for one row, prefetch_related('field') for many");
const DOCTRINE: Mapper =
    mapper("Doctrine", "a fetch join: leftJoin('p.children', 'c')->addSelect('c')");
const DRIZZLE: Mapper =
    mapper("Drizzle", "db.query.parents.findMany({ with: { children: true } })");
const ECTO: Mapper = mapper("Ecto", "Repo.preload(parents, :children) or preload: [:children]");
const ELOQUENT: Mapper = mapper(
    "Eloquent, Knex or Kysely",
    "Parent::with('children') in Eloquent, whereIn with all keys in a query builder",
);
const BUILDER: Mapper = mapper("a query builder (Knex, Kysely)", "whereIn with all keys");
const ENTITY_FRAMEWORK: Mapper = mapper("Entity Framework", ".Include(p => p.Children)");
const GORM: Mapper = mapper("GORM", "db.Preload(\"Children\")");
const HIBERNATE: Mapper = mapper("Hibernate", "JOIN FETCH, an entity graph or @BatchSize");
const MIKRO_ORM: Mapper = mapper("MikroORM", "populate: ['children']");
const OBJECTION: Mapper =
    mapper("Objection or Knex", "withGraphFetched('children'), or whereIn with all keys");
const PEEWEE: Mapper = mapper("Peewee", "prefetch(parents, Child), or a join with select()");
const PRISMA: Mapper = mapper("Prisma", "include: { children: true }");
const SEQUELIZE: Mapper = mapper("Sequelize", "include: [Child]");
const SQLALCHEMY: Mapper =
    mapper("SQLAlchemy", "options(selectinload(Parent.children)), or joinedload for one row");
const TYPE_ORM: Mapper = mapper("TypeORM", "relations: { children: true } or leftJoinAndSelect");

/// One item of a select list: its parts between dots, and its alias.
struct Item<'a> {
    parts: Vec<Token<'a>>,
    alias: Option<Token<'a>>,
}

/// Who wrote a `SELECT`, from its text as it was sent; `None` where several write like that.
pub fn recognize(text: &str) -> Option<Mapper> {
    let list: Vec<Token<'_>> = tokens(text).collect();
    let first = list.first().filter(|token| token.is_word("select"))?;
    let is_lower = first.text == "select";
    let from = list.iter().position(|token| token.is_word("from"))?;
    let item = first_item(&list[1..from])?;
    let table_alias = alias_of_table(&list[from + 1..]);
    let quoted = |token: &Token<'_>| token.kind == TokenKind::QuotedIdent;
    if text.contains("__prisma_data__") {
        return Some(PRISMA);
    }
    // `WHERE "t"."a" = $1`, without a parenthesis before.
    let by = list.iter().position(|token| token.is_word("where")).map_or(&[][..], |at| &list[at..]);
    let is_plain = !by.get(1).is_some_and(|token| token.is("("));
    let is_qualified = by.get(2).is_some_and(|token| token.is("."));
    let table_quoted = list.get(from + 1).is_some_and(quoted);
    if let Some(found) = by_alias(&item) {
        return Some(found);
    }
    match item.parts.as_slice() {
        [a, b, c] if [a, b, c].into_iter().all(quoted) => Some(PRISMA),
        [table, column] if !quoted(table) && quoted(column) => {
            // b0."id" and b."Id"
            let numbered = table.text.ends_with(|c: char| c.is_ascii_digit());
            Some(if numbered { ECTO } else { ENTITY_FRAMEWORK })
        }
        [table, _] if !quoted(table) && is_hibernate(table.text) => Some(HIBERNATE),
        [table, star] if quoted(table) && star.is("*") => match (is_lower, table_alias) {
            (true, Some(alias)) if is_letter_and_number(bare(alias)) => Some(MIKRO_ORM),
            (true, _) => Some(OBJECTION),
            (false, _) => Some(ACTIVE_RECORD),
        },
        [table, column] if quoted(table) && quoted(column) => match table_alias {
            Some(alias) if bare(alias) == "t0" => Some(PRISMA),
            Some(alias) if is_letter_and_number(bare(alias)) => {
                Some(if is_lower { MIKRO_ORM } else { PEEWEE })
            }
            Some(_) => None,
            None if is_lower => Some(DRIZZLE),
            None => is_plain.then_some(DJANGO),
        },
        [column] if quoted(column) && table_quoted => match table_alias {
            Some(alias) if quoted(&alias) && !is_lower => Some(SEQUELIZE),
            None if is_lower => Some(if is_qualified { DRIZZLE } else { BUILDER }),
            _ => None,
        },
        [star] if star.is("*") && table_quoted && table_alias.is_none() => {
            if is_lower {
                Some(ELOQUENT)
            } else {
                is_plain.then_some(GORM)
            }
        }
        // Clauses on lines of their own.
        [table, column] if !quoted(table) && !quoted(column) && text.contains("\nFROM ") => {
            Some(SQLALCHEMY)
        }
        _ => None,
    }
}

/// Aliases that are made from the names of table and column, or numbered.
fn by_alias(item: &Item<'_>) -> Option<Mapper> {
    let alias = bare(item.alias?);
    let [table, column] = item.parts.as_slice() else { return None };
    let (table, column) = (bare(*table), bare(*column));
    if alias == format!("{table}_{column}") {
        let quoted = item.parts[0].kind == TokenKind::QuotedIdent;
        return Some(if quoted { TYPE_ORM } else { SQLALCHEMY });
    }
    let numbered = alias.strip_prefix(column)?;
    let digits = numbered.chars().all(|c| c.is_ascii_digit() || c == '_');
    match (digits, table.ends_with('_') && table.len() > 4) {
        // author0_.id AS id1_0_0_
        (true, true) => Some(HIBERNATE),
        // d0_.id AS id_0, t0.id AS id_1
        (true, false) => Some(DOCTRINE),
        _ => None,
    }
}

fn first_item<'a>(list: &[Token<'a>]) -> Option<Item<'a>> {
    let end = list.iter().position(|token| token.is(",")).unwrap_or(list.len());
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(token) = list[..end].get(at) {
        if !matches!(token.kind, TokenKind::Word | TokenKind::QuotedIdent) && !token.is("*") {
            return None;
        }
        parts.push(*token);
        at += 1;
        if !list[..end].get(at).is_some_and(|token| token.is(".")) {
            break;
        }
        at += 1;
    }
    let rest = &list[at..end];
    let alias = match rest {
        [] => None,
        [alias] => Some(*alias),
        [word, alias] if word.is_word("as") => Some(*alias),
        _ => return None,
    };
    Some(Item { parts, alias })
}

/// `FROM a.b AS c`, `FROM b c`.
fn alias_of_table<'a>(list: &[Token<'a>]) -> Option<Token<'a>> {
    let mut at = 1;
    while list.get(at).is_some_and(|token| token.is(".")) {
        at += 2;
    }
    let next = *list.get(at)?;
    if next.is_word("as") {
        return list.get(at + 1).copied();
    }
    let keywords = ["where", "inner", "left", "join", "order", "limit", "cross", "group", "offset"];
    let is_name = matches!(next.kind, TokenKind::Word | TokenKind::QuotedIdent)
        && !keywords.iter().any(|word| next.is_word(word));
    is_name.then_some(next)
}

fn bare(token: Token<'_>) -> &str {
    token.text.trim_matches('"')
}

/// `a1_0`
fn is_hibernate(alias: &str) -> bool {
    let Some((front, back)) = alias.split_once('_') else { return false };
    is_letter_and_number(front) && !back.is_empty() && back.bytes().all(|b| b.is_ascii_digit())
}

/// `t1`, `b0`
fn is_letter_and_number(alias: &str) -> bool {
    let digits = alias.trim_start_matches(|c: char| c.is_ascii_lowercase());
    !digits.is_empty() && digits.len() < alias.len() && digits.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handwriting_tells_the_mapper() {
        for (sql, mapper) in [
            (r#"SELECT "books".* FROM "books" WHERE "books"."author_id" = $1"#, ACTIVE_RECORD),
            (
                r#"SELECT "shop_book"."id", "shop_book"."title" FROM "shop_book" WHERE "shop_book"."id" = 5 LIMIT 21"#,
                DJANGO,
            ),
            (
                "SELECT book.id AS book_id, book.title AS book_title \nFROM book \nWHERE book.author_id = $1",
                SQLALCHEMY,
            ),
            ("SELECT book.id, book.title \nFROM book \nWHERE book.author_id = $1", SQLALCHEMY),
            (
                r#"SELECT "public"."User"."id", "public"."User"."email" FROM "public"."User" WHERE 1=1"#,
                PRISMA,
            ),
            (
                r#"SELECT "id", "name" FROM "Authors" AS "Author" WHERE "Author"."id" = 1;"#,
                SEQUELIZE,
            ),
            (
                r#"SELECT "Book"."id" AS "Book_id", "Book"."title" AS "Book_title" FROM "Book" "Book""#,
                TYPE_ORM,
            ),
            (r#"select "id", "title" from "books" where "books"."author_id" = $1"#, DRIZZLE),
            ("select b1_0.id,b1_0.title from book b1_0 where b1_0.author_id=$1", HIBERNATE),
            (
                "select book0_.id as id1_0_0_, book0_.title as title2_0_0_ from book book0_",
                HIBERNATE,
            ),
            ("SELECT d0_.id AS id_0, d0_.title AS title_1 FROM doc d0_", DOCTRINE),
            (r#"SELECT b0."id", b0."title" FROM "books" AS b0 WHERE (b0."author_id" = $1)"#, ECTO),
            (
                r#"SELECT b."Id", b."Title" FROM "Books" AS b WHERE b."AuthorId" = $1"#,
                ENTITY_FRAMEWORK,
            ),
            (
                r#"SELECT "t1"."id", "t1"."name" FROM "author" AS "t1" WHERE ("t1"."id" = 1)"#,
                PEEWEE,
            ),
            (r#"select "b0".* from "book" as "b0" where "b0"."id" = 1"#, MIKRO_ORM),
            (r#"select "books".* from "books" where "books"."author_id" = $1"#, OBJECTION),
            (r#"select * from "books" where "books"."author_id" = $1"#, ELOQUENT),
            (r#"SELECT * FROM "books" WHERE "books"."author_id" = $1"#, GORM),
            (r#"select "id", "title" from "books" where "author_id" = $1"#, BUILDER),
        ] {
            assert_eq!(recognize(sql).map(|m| m.name), Some(mapper.name), "{sql}");
        }
        for sql in
            ["SELECT id, name FROM authors WHERE id = $1", "SELECT count(*) FROM t", "select"]
        {
            assert_eq!(recognize(sql), None, "{sql}");
        }
    }
}
