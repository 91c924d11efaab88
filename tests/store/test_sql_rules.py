"""No clock, chance or generated id in SQL, and every table belongs to an account."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from callmatrix.store.db import Database
from callmatrix.store.migrate import FOLDER

STORE = FOLDER.parent
TABLES_WITHOUT_ACCOUNT = {"callmatrix_migrations", "outbox_origin"}
FORBIDDEN = re.compile(
    r"\b(?:now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday|gen_random_uuid"
    r"|uuidv4|uuidv7|random|random_normal)\s*\("
    r"|\b(?:current_timestamp|current_date|current_time|localtimestamp|localtime)\b"
    r"|'(?:now|today|tomorrow|yesterday)'",
    re.IGNORECASE,
)
COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def _broken(sql: str) -> list[str]:
    return FORBIDDEN.findall(COMMENT.sub(" ", sql))


def _strings(source: str) -> Iterator[str]:
    """Every text in a Python file, pieces of f-strings too, but not docstrings."""
    tree = ast.parse(source)
    prose = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.sql")), ids=lambda path: path.stem)
def test_a_migration_asks_neither_clock_nor_dice(path: Path) -> None:
    assert _broken(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", sorted(STORE.rglob("*.py")), ids=lambda path: path.stem)
def test_sql_in_the_store_asks_neither_clock_nor_dice(path: Path) -> None:
    found = {text: _broken(text) for text in _strings(path.read_text(encoding="utf-8"))}
    assert {text: words for text, words in found.items() if words} == {}


@pytest.mark.parametrize(
    "sql",
    [
        "insert into t values (NOW ())",
        "create table t (at timestamptz default current_timestamp)",
        "select gen_random_uuid()",
        "select uuidv7()",
        "select 'now'::timestamptz",
        "select /* why */ clock_timestamp() -- then",
        "order by random()",
    ],
)
def test_the_rule_sees_every_way_to_ask(sql: str) -> None:
    assert len(_broken(sql)) == 1


def test_the_rule_passes_words_that_ask_nothing() -> None:
    assert (
        _broken("select known(1), now_at, p_now from t -- now()\n where random_draw > $1 /* random() */")
        == []
    )


def test_the_rule_reads_f_strings_and_passes_over_docstrings() -> None:
    source = '"""now()"""\nasync def f(tx, n):\n    "now()"\n    await tx.execute(f"select {n}, now()")\n'
    assert [text for text in _strings(source) if _broken(text)] == [", now()"]


async def test_every_table_belongs_to_an_account(db: Database) -> None:
    async with db.transaction() as tx:
        rows = await tx.fetch(
            "select table_name, bool_or(column_name = 'account_id') as owned from information_schema.columns "
            "join information_schema.tables using (table_schema, table_name) "
            "where table_schema = 'public' and table_type = 'BASE TABLE' group by table_name"
        )
    assert {row["table_name"] for row in rows if row["owned"]} >= {"account"}
    assert {row["table_name"] for row in rows if not row["owned"]} == TABLES_WITHOUT_ACCOUNT
