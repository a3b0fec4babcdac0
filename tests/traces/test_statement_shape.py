"""The shape of a statement: one for all that differ in data only, and no data in it."""

from __future__ import annotations

import json
from pathlib import Path
from time import process_time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inapp_monitor.traces.statement_shape import MAX_KEPT, shape_of, statement_id
from tests.each import each

CORPUS = json.loads((Path(__file__).parents[1] / "data/traces/statements.json").read_text("utf-8"))
GROUPS = [(dialect, group) for dialect, groups in CORPUS.items() for group in groups]


@each(("dialect", "group"), GROUPS)
def test_statements_that_differ_in_data_share_a_shape(dialect: str, group: list[str]) -> None:
    """And the marked secrets of the corpus are in none of them."""
    shapes = {shape_of(statement, dialect) for statement in group}
    assert len(shapes) == 1, shapes
    assert not any(secret in str(shapes) for secret in ("S3CR3T", "987654"))


@each("dialect", ["", "sqlite"])
def test_statements_of_different_meaning_differ(dialect: str) -> None:
    """No two groups of the corpus share a shape, but for those that are `select ?` by nature."""
    shapes = [shape_of(group[0], dialect) for group in CORPUS[""]]
    distinct = [shape for shape in shapes if shape != "select ?"]
    assert len(set(distinct)) == len(distinct)


@pytest.mark.parametrize(
    ("dialect", "statement", "shape"),
    [
        ("postgresql", "/* a /* S3 /* b */ */ S3 **/ select /***/ 1", "select ?"),
        ("mysql", "/* a /* b */ select /* c */ 1", "select ?"),
        ("", "/*+ index(t) */ select 1 /* a /* S3", "/*+ index(t) */ select ?"),
        ("oracle", "select q'[it's S3]', nQ'!S3 's!', 'q''S3' from t", "select ?, ?, ? from t"),
        (
            "oracle",
            """select "q'(", Q'(S3')', seq'S3' from t -- q'""",
            """select "q'(", ?, seq? from t""",
        ),
        ("oracle", "select q'{S3' from t", "select ?"),
    ],
)
def test_comments_within_comments_and_quotes_of_choice(
    dialect: str, statement: str, shape: str
) -> None:
    """PostgreSQL's comments nest, other ones end at the first mark; Oracle's strings end as their
    author likes."""
    assert shape_of(statement, dialect) == shape


def test_a_list_of_thousands_is_one_mark() -> None:
    """The number of values in a list is data."""
    values = ",".join(f"({n},'a{n}')" for n in range(3_000))
    assert shape_of(f"insert into t (a, b) values {values}") == "insert into t (a, b) values (?)"


def test_rows_with_casts_are_one_mark() -> None:
    """As SQLAlchemy writes them for psycopg 3: the number of rows is data, also where it is cut."""
    start = "insert into t (a, b) values"
    for rows in (2, 3_000):
        values = ", ".join(f"($1::VARCHAR(9), ${n}::TEXT[])" for n in range(rows))
        assert shape_of(f"{start} {values}", "postgresql") == f"{start} (?::VARCHAR(?), ?::TEXT[])"


TEMPLATES = [
    "select * from users where name = {0} and age > {1}",
    "insert into users (name, age) values ({0}, {1}), ({1}, {0})",
    "update users set name = {0}, age = {1} where id in ({1}, {0}, {1})",
    "delete from users where name like {0} or tags @> ARRAY[{0}, {0}]",
    "select f({0}, {1}) /* {0} */ from t -- {0}",
    "select case when a = {0} then {0} else {1} end",
    "call p({0}, {1})",
]
QUOTES = {
    "single": lambda text: "'" + text.replace("'", "''") + "'",
    "escaped": lambda text: "E'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'",
    "dollar": lambda text: f"$q$ {text.replace('$', '')} $q$",
    "national": lambda text: "N'" + text.replace("'", "''") + "'",
}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(TEMPLATES),
    st.sampled_from(sorted(QUOTES)),
    st.text(alphabet="ab'\"\\;()-,*/ é\n", max_size=20),
    st.integers(-(10**12), 10**12),
)
def test_no_literal_is_left(template: str, quotes: str, around: str, number: int) -> None:
    """Whatever stands around a secret inside its quotes."""
    around = around.replace("\n", "").replace("*", "")  # these would end the comment
    secret = QUOTES[quotes](f"{around}S3CR3T{around}")
    assert "S3CR3T" not in shape_of(template.format(secret, number))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300), st.sampled_from(["", "mysql", "sqlite", "oracle"]))
def test_any_text_has_a_shape(text: str, dialect: str) -> None:
    """Nothing raises, nothing is longer than the limit, and a shape's shape is itself short."""
    shape = shape_of(text, dialect)
    assert len(shape) <= MAX_KEPT
    assert len(statement_id("sqlite", shape)) == 12


@each("piece", ["'", '"', "(", "(1,", "-- ", "/*", "$a", "IN (", '="', "\\", "? ,"])
@each("dialect", ["", "mysql", "sqlite"])
def test_hostile_texts_take_no_longer(piece: str, dialect: str) -> None:
    """200,000 characters of what makes regular expressions go back and forth."""
    begin = process_time()
    shape_of(piece * (200_000 // len(piece)), dialect)
    assert process_time() - begin < 2  # some milliseconds; minutes where it is quadratic
