"""Cells as files hold them."""

import json

import numpy as np
import pytest

from latentlab.record import to_json
from latentlab.scoreboard import Cell, CellResult, OracleWorld, SideEffects, score_cell

OLD = {  # as version 0.1 wrote it, but for most of its factors
    "space": "latent", "finder": "effect", "labels": 10, "variant": "independent", "shuffled": False, "seed": 3,
    "fit_seconds": 0.5, "decoded": 12, "passes": 0, "factors": ["light", "size"],
    "scores": [{
        "name": "light", "strength": 2.0, "reached": False, "failed": False, "unread": 0.0, "effect": [0.5, None],
        "moved": [0.5, 0.1], "precision": 0.9, "leakage": None, "ratio": 3.0, "monotonicity": 1.0, "linearity": 0.9,
        "low": -2.0, "high": 2.0, "locality": None, "alignment": None, "background": 30.0, "flicker_added": 0.1,
        "drift_added": 0.0, "by_frame": None, "cycle": 25.0,
    }],
}  # fmt: skip


def test_a_cell_comes_back_from_its_file_as_it_was():
    found = score_cell(OracleWorld(clips=20), Cell("oracle", "effect", labels=200, seed=2), strengths=(-2.0, 0.0, 2.0))
    again = CellResult.of_record(json.loads(to_json(found.record())))
    assert to_json(again.record()) == to_json(found.record())
    assert (again.cell, again.factors, again.beside) == (found.cell, found.factors, ())
    assert [type(one) for one in again.scores] == [type(one) for one in found.scores]


def test_a_file_of_the_version_before_is_read_with_nan_for_what_was_not_measured():
    found = CellResult.of_record(OLD)
    (score,), (beside,) = found.scores, found.beside
    assert found.cell == Cell("latent", "effect", 10, "independent", shuffled=False, seed=3)
    assert (score.precision, score.why, beside.background) == (0.9, "", 30.0)
    np.testing.assert_array_equal([*score.effect, score.leakage, score.amount], [0.5, np.nan, np.nan, np.nan])
    assert np.isnan([beside.by_frame, beside.kept]).all()
    assert isinstance(beside, SideEffects)


def test_a_cell_that_failed_says_why_in_its_file_too():
    lost = CellResult(Cell("latent", "LDA", 10), failed="ValueError: too few")
    assert CellResult.of_record(lost.record()) == lost
    assert CellResult.of_record({"space": "latent", "finder": "LDA"}).failed


@pytest.mark.parametrize(
    ("module", "name", "home"),
    [
        ("study.scoreboard", "Ground", "scoreboard.Testbed"),
        ("study.collateral", "Collateral", "scoreboard.SideEffects"),
        ("study.perturb", "perturb", "dimensions.perturb"),
        ("study.ratings", "Rating", "preference.Rating"),
        ("view.compare", "Compare", "preference.Compare"),
    ],
)
def test_what_moved_is_found_where_it_was_for_one_version(module, name, home):
    import importlib

    import latentlab

    room, new = home.split(".")
    with pytest.warns(DeprecationWarning, match=new):
        old = getattr(importlib.import_module(f"latentlab.{module}"), name)
    assert old is getattr(getattr(latentlab, room), new)
    with pytest.raises(AttributeError, match="nothing"):
        importlib.import_module(f"latentlab.{module}").nothing  # noqa: B018
