"""Asks the scanner of PostgreSQL's own parser (libpg_query, through the Python package pglast) where tokens begin and end.

usage: make_tokens.py answers.jsonl > tokens.jsonl

`answers.jsonl` is what make.py writes. Each statement is scanned as it is or with something in it that scanners read
in different ways: carriage returns, form feeds, comments, strings that go on, characters of several bytes. A line for
each that the scanner takes: {"sql": ..., "tokens": [start, length, start, length, ...]}, in bytes, without comments.
"""
import json
import random
import sys

from pglast import parser

INJECTED = ["\r", "\f", "\v", " --x\r", " --x\n", "/* a /* b */ c */", "\u00e9", "\u00a0", " 'a'\r'b' ", " E'a\\''\n'b\\'' ",
            " U&'\\0061' ", " $q$ ' $q$ ", " \"a\"\"b\" ", "\t--\r\n"]
MOST = 6000


def scanned(sql):
    try:
        found = parser.scan(sql)
    except Exception:
        return None
    tokens = []
    for token in found:
        if token.name in ("SQL_COMMENT", "C_COMMENT"):
            continue
        start = len(sql[:token.start].encode())
        length = len(sql[token.start:token.end + 1].encode())
        tokens += [start, length]
    return tokens


def main():
    random.seed(7)
    lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
    random.shuffle(lines)
    written = 0
    for line in lines:
        sql = json.loads(line)["sql"]
        if len(sql) > 400 or "\0" in sql:
            continue
        if random.random() < 0.8:
            at = random.randrange(len(sql) + 1)
            sql = sql[:at] + random.choice(INJECTED) + sql[at:]
        tokens = scanned(sql)
        if tokens is None:
            continue
        print(json.dumps({"sql": sql, "tokens": tokens}, ensure_ascii=False))
        written += 1
        if written == MOST:
            break
    print(f"{written} texts", file=sys.stderr)


main()
