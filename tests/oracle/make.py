#!/usr/bin/env python3
"""Asks PostgreSQL's own parser (libpg_query, through the Python package pglast) about statements.

    python3 tests/oracle/make.py regress/sql/*.sql queries.jsonl > tests/data/oracle/NAME.jsonl

Input: scripts for psql, or lines of JSON whose key "q" is a statement, as in
    psql -XAtc "SELECT json_build_object('q', query) FROM pg_stat_statements"
Output, one line for each distinct statement that reads or writes rows and that PostgreSQL accepts:
the statement, its kind, its fingerprint and the tables it names. `tests/oracle.rs` compares.
"""
import json
import os
import re
import sys

import pglast
from pglast import ast, parser
from pglast.visitors import Skip, Visitor

KINDS = {
    ast.SelectStmt: "SELECT",
    ast.InsertStmt: "INSERT",
    ast.UpdateStmt: "UPDATE",
    ast.DeleteStmt: "DELETE",
    ast.MergeStmt: "MERGE",
}
DOLLAR = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")


def statements(text):
    """Statements of a psql script, without its meta-commands and the rows of COPY."""
    start = at = depth = 0
    size = len(text)
    out = []
    while at < size:
        char = text[at]
        if char == "'":
            escapes = at > 0 and text[at - 1] in "eE" and not (at > 1 and (text[at - 2].isalnum() or text[at - 2] == "_"))
            at += 1
            while at < size:
                if escapes and text[at] == "\\":
                    at += 2
                elif text[at] == "'":
                    break
                else:
                    at += 1
            at += 1
        elif char == '"':
            at = (text.find('"', at + 1) + 1) or size
        elif text.startswith("--", at):
            at = text.find("\n", at) if "\n" in text[at:] else size
        elif text.startswith("/*", at):
            level = 1
            at += 2
            while at < size and level:
                if text.startswith("/*", at):
                    level += 1
                    at += 2
                elif text.startswith("*/", at):
                    level -= 1
                    at += 2
                else:
                    at += 1
        elif char == "$" and (match := DOLLAR.match(text, at)) and not (at and text[at - 1].isalnum()):
            end = text.find(match.group(), match.end())
            at = size if end < 0 else end + len(match.group())
        elif char == "\\":
            # A meta-command ends the line; `\;` only separates; \g and its kin send what stands before.
            if text.startswith("\\;", at):
                out.append(text[start:at])
                at += 2
                start = at
                continue
            end = text.find("\n", at)
            end = size if end < 0 else end
            if re.match(r"\\(g|gx|gset|gexec|gdesc|crosstabview|bind|parse|bind_named|sendpipeline)\b", text[at:end]):
                out.append(text[start:at])
            else:
                # Whatever was begun before it is thrown away only by \r; keep it when it stands alone.
                pass
            if not text[start:at].strip() or re.match(r"\\(g|gx|gset|gexec|gdesc|crosstabview|bind|parse|bind_named|sendpipeline|r)\b", text[at:end]):
                start = end
            at = end
        elif char in "([":
            depth += 1
            at += 1
        elif char in ")]":
            depth -= 1
            at += 1
        elif char == ";":
            statement = text[start:at]
            out.append(statement)
            at += 1
            start = at
            if re.match(r"\s*(--[^\n]*\n\s*)*copy\b.*\bfrom\s+stdin\b", statement, re.I | re.S):
                end = re.compile(r"^\\\.\s*$", re.M).search(text, at)
                at = start = end.end() if end else size
        else:
            at += 1
    out.append(text[start:])
    return [s.strip() for s in out if s.strip()]


class Tables(Visitor):
    def __init__(self):
        super().__init__()
        self.named, self.ctes = set(), set()

    def visit_RangeVar(self, _, node):
        self.named.add((node.schemaname or "", node.relname))

    # `FOR UPDATE OF x` names an alias, `SELECT … INTO x` a table that is not yet there.
    def visit_LockingClause(self, _, node):
        return Skip

    def visit_IntoClause(self, _, node):
        return Skip

    def visit_CommonTableExpr(self, _, node):
        self.ctes.add(node.ctename)


def tables(statement):
    seen = Tables()
    seen(statement)
    return sorted({name for schema, name in seen.named if schema or name not in seen.ctes})


def candidates(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        if path.endswith(".jsonl"):
            for line in file:
                yield json.loads(line)["q"]
        else:
            yield from statements(file.read())


def main():
    seen, accepted, refused = set(), 0, 0
    for path in sys.argv[1:]:
        name = os.path.basename(path)
        for sql in candidates(path):
            if sql in seen or "\0" in sql:
                continue
            seen.add(sql)
            try:
                parsed = parser.parse_sql(sql)
            except parser.ParseError:
                refused += 1
                continue
            if len(parsed) != 1 or type(parsed[0].stmt) not in KINDS:
                continue
            accepted += 1
            print(json.dumps({
                "source": name,
                "kind": KINDS[type(parsed[0].stmt)],
                "fingerprint": parser.fingerprint(sql),
                "tables": tables(parsed[0].stmt),
                "sql": sql,
            }, ensure_ascii=False))
    print(f"{accepted} statements, {refused} refused by PostgreSQL, pglast {pglast.__version__}", file=sys.stderr)


if __name__ == "__main__":
    main()
