"""Schedules of pairs are balanced, tables survive the way to disk."""

import csv
from collections import Counter
from itertools import pairwise

import pytest

from latentlab.preference.ratings import Rating, read_rating_table, schedule, write_rating_table


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 9])
def test_every_pair_once_and_sides_balanced(count):
    items = [f"clip {i}" for i in range(count)]
    pairs = schedule(items, seed=3)
    assert len(pairs) == count * (count - 1) / 2
    assert len({frozenset(pair) for pair in pairs}) == len(pairs)
    left, right = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    assert all(abs(left[item] - right[item]) <= 1 for item in items)


def test_two_rounds_exchange_the_sides():
    pairs = schedule(list("abcde"), rounds=2, seed=1)
    assert Counter(pairs) == Counter((b, a) for a, b in pairs)
    assert all(set(one) != set(two) for one, two in pairwise(pairs))


def test_the_seed_decides_the_order():
    assert schedule(list("abcde"), seed=1) == schedule(list("abcde"), seed=1)
    assert schedule(list("abcde"), seed=1) != schedule(list("abcde"), seed=2)


@pytest.mark.parametrize("bad", [["a"], ["a", "a"]])
def test_too_few_items_are_told(bad):
    with pytest.raises(ValueError, match="different items"):
        schedule(bad)


def test_a_table_comes_back(tmp_path):
    ratings = [Rating("ann", 'a, "quoted"', "b", "left"), Rating("ben", "b", "c\nd", "equal", "second")]
    write_rating_table(tmp_path / "ratings.csv", ratings)
    assert read_rating_table(tmp_path / "ratings.csv") == ratings
    assert not list(tmp_path.glob(".latentlab-*"))


def test_a_table_without_sessions_is_read(tmp_path):
    (tmp_path / "old.csv").write_text("rater,left,right,answer\nann,a,b,left\n")
    assert read_rating_table(tmp_path / "old.csv") == [Rating("ann", "a", "b", "left")]


def test_what_is_no_table_is_told(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="first line"):
        read_rating_table(tmp_path / "other.csv")
    (tmp_path / "odd.csv").write_text("rater,left,right,answer\nann,a,b,maybe\n")
    with pytest.raises(ValueError, match="maybe"):
        read_rating_table(tmp_path / "odd.csv")
    with pytest.raises(ValueError, match="itself"):
        Rating("ann", "a", "a", "left")


def test_no_name_is_a_formula_to_a_spreadsheet_and_all_come_back(tmp_path):
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "'quoted", "'=x", "it's", "plain"]
    ratings = [Rating(name, f"{name} left", f"{name} right", "left") for name in names]
    write_rating_table(tmp_path / "ratings.csv", ratings)
    assert read_rating_table(tmp_path / "ratings.csv") == ratings
    with (tmp_path / "ratings.csv").open(newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
