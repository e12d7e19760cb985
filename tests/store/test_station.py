import contextlib
import sqlite3

import pytest

from agent.store import station


@pytest.fixture
def connection():
    with contextlib.closing(sqlite3.connect(":memory:")) as opened:
        opened.execute("CREATE TABLE station (slice, key, value, PRIMARY KEY (slice, key))")
        yield opened


def test_no_rows_are_no_slices(connection):
    assert station.load(connection) == {}


def test_rows_are_grouped_by_slice(connection):
    station.write(connection, [("a", "1", b"x"), ("b", "1", b"y"), ("a", "2", b"z")])
    assert station.load(connection) == {"a": {"1": b"x", "2": b"z"}, "b": {"1": b"y"}}


def test_the_last_of_the_same_address_wins(connection):
    station.write(connection, [("a", "1", b"x"), ("a", "1", b"y")])
    assert station.load(connection) == {"a": {"1": b"y"}}


def test_none_deletes_even_what_is_not_there(connection):
    station.write(connection, [("a", "1", b"x"), ("a", "1", None), ("b", "7", None)])
    assert station.load(connection) == {}
