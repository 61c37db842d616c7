"""Pairwise comparison: blinded, kept after every answer, taken up again."""

import pytest
import torch

from latentlab.preference.bradley_terry import fit, next_pairs
from latentlab.preference.ratings import read_rating_table

pytest.importorskip("ipywidgets", reason="the widget needs the extra [notebook]")
from latentlab.preference.page import Compare

LIGHT = {"dim secret": -0.5, "middle secret": 0.0, "bright secret": 0.5}
CLIPS = {name: torch.full((1, 3, 4, 8, 8), value) for name, value in LIGHT.items()}


def brighter(shown: Compare) -> None:
    left, right = shown.pair
    shown.buttons["left" if LIGHT[left] > LIGHT[right] else "right"].click()


def test_answers_are_kept_and_rank_the_clips(tmp_path):
    for rater in ("ann", "ben"):
        shown = Compare(CLIPS, tmp_path / "ratings.csv", rater=rater, rounds=2)
        while shown.pair:
            brighter(shown)
    assert "Thank you" in shown._screen.value
    assert all(button.disabled for button in shown.buttons.values())
    ratings = read_rating_table(tmp_path / "ratings.csv")
    assert len(ratings) == 12
    assert fit(ratings).ranking == ("bright secret", "middle secret", "dim secret")


def test_no_name_is_shown(tmp_path):
    shown = Compare(CLIPS, tmp_path / "ratings.csv", rater="ann")
    assert "secret" not in shown._screen.value
    assert shown._screen.value.count("role=") == 2
    page = shown._repr_mimebundle_()["text/html"]  # without a kernel
    assert "secret" not in page
    assert page.count("<img") == 2
    assert shown._asked.value in page
    assert "0 of 3" in page


def test_the_last_pair_leaves_no_empty_page(tmp_path):
    shown = Compare(CLIPS, tmp_path / "ratings.csv", rater="ann", pairs=[("dim secret", "bright secret")])
    shown.answer("equal")
    assert "Thank you" in shown._repr_mimebundle_()["text/html"]


def test_who_comes_back_goes_on(tmp_path):
    first = Compare(CLIPS, tmp_path / "ratings.csv", rater="ann")
    brighter(first)
    again = Compare(CLIPS, tmp_path / "ratings.csv", rater="ann")
    assert again.pairs == first.pairs
    assert again.pair == first.pairs[1]
    again.back.click()
    assert again.pair == first.pairs[0]
    assert read_rating_table(tmp_path / "ratings.csv") == []
    assert Compare(CLIPS, tmp_path / "ratings.csv", rater="zoe").done == 0


def test_other_pairs_are_a_session_of_their_own(tmp_path):
    path = tmp_path / "ratings.csv"
    first = Compare(CLIPS, path, rater="ann")
    while first.pair:
        brighter(first)
    pairs = [first.pairs[0], *next_pairs(fit(first.ratings), 1)]  # one is asked a second time
    second = Compare(CLIPS, path, rater="ann", pairs=pairs)
    assert second._progress.value == "0 of 2"
    assert second.back.disabled
    second.take_back()
    assert len(read_rating_table(path)) == 3  # the answers of the first session stay
    brighter(second)
    assert Compare(CLIPS, path, rater="ann", pairs=pairs).done == 1
    assert Compare(CLIPS, path, rater="ann").done == 3
    assert Compare(CLIPS, path, rater="ann", pairs=pairs, session="again").done == 0


def test_a_question_is_text(tmp_path):
    shown = Compare(CLIPS, tmp_path / "r.csv", rater="ann", question="a < b & <script>?")
    assert "a &lt; b &amp; &lt;script&gt;?" in shown.widget.children[0].value


def test_bad_input_is_told(tmp_path):
    with pytest.raises(ValueError, match="unknown clips charm"):
        Compare(CLIPS, tmp_path / "r.csv", rater="ann", pairs=[("dim secret", "charm")])
    shown = Compare(CLIPS, tmp_path / "r.csv", rater="ann", pairs=[("dim secret", "bright secret")])
    with pytest.raises(ValueError, match="answer is one of"):
        shown.answer("maybe")
    shown.answer("equal")
    with pytest.raises(ValueError, match="every pair"):
        shown.answer("left")
