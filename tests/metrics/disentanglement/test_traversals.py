"""Flatness and axis alignment: grids whose scores are known, and disent's own."""

import numpy as np
import pytest

from latentlab.metrics import disentanglement as dis

SIZES = (6, 5, 4)
GRID = np.stack(np.meshgrid(*map(np.arange, SIZES), indexing="ij"), -1).reshape(-1, 3).astype(float)


def test_straight_lines_on_axes_score_one():
    assert dis.flatness(GRID, GRID).value == pytest.approx(1)
    assert dis.axis_alignment(GRID, GRID).value == pytest.approx(1)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_line_oblique_to_n_dims(dims):
    codes = np.repeat(GRID[:, :1], dims, axis=1)
    factors = GRID[:, :1]
    assert dis.flatness(codes, factors).value == pytest.approx(1 / np.sqrt(dims))
    assert dis.axis_alignment(codes, factors).value == pytest.approx(0, abs=1e-9)


def test_turning_back_is_not_flat():
    there_and_back = np.minimum(GRID, np.array(SIZES) - 1 - GRID)
    assert dis.flatness(there_and_back, GRID).value < 0.6
    assert dis.axis_alignment(there_and_back, GRID).value == pytest.approx(1)  # bent, but on its axis


def test_disent_s_own_figures(oracle):
    """The codes of all states are linear in the factors, so what disent saw can be drawn again."""
    rng, sizes = np.random.default_rng(0), oracle["meta/factor_sizes"]
    rows = []
    for k, size in enumerate(sizes):
        for _ in range(40):
            row = np.tile([rng.integers(s) for s in sizes], (size, 1))
            row[:, k] = np.arange(size)
            rows.append(row)
    factors = np.unique(np.concatenate(rows), axis=0).astype(float)
    for regime in ("rotated", "duplicate"):
        seen = np.column_stack([oracle[f"{regime}/f_train"], np.ones(10_000)])
        maps = np.linalg.lstsq(seen, oracle[f"{regime}/z_train"].astype(float))[0]
        codes = np.column_stack([factors, np.ones(len(factors))]) @ maps
        if regime == "rotated":  # four dims of noise of deviation 0.01
            codes[:, 6:] = 0.01 * rng.standard_normal((len(codes), 4))
        theirs = float(oracle[f"{regime}/disent/flatness.ave_flatness"])
        assert dis.flatness(codes, factors).value == pytest.approx(theirs, abs=0.02), regime
    theirs = float(oracle["duplicate/disent/linearity.axis_alignment.var"])
    assert dis.axis_alignment(codes, factors).value == pytest.approx(theirs, abs=1e-3)


def test_null_level_and_groups():
    found = dis.score(GRID, GRID, ("flatness", "axis_alignment"), null=5, bootstrap=10, progress=False)
    for score in found.values():
        assert score.null is not None
        assert score.null < 0.8
        assert score.adjusted == pytest.approx(1)
    two = np.repeat(GRID, 2, axis=1)
    assert dis.flatness(two, GRID, units=[0, 0, 1, 1, 2, 2]).value == pytest.approx(1)


def test_samples_without_traversals_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="no two samples differ in factor 'factor0' alone"):
        dis.flatness(rng.standard_normal((100, 2)), rng.standard_normal((100, 2)))


def test_a_factor_that_moves_nothing_scores_nothing():
    grid = np.stack(np.meshgrid(np.arange(8.0), np.arange(9.0)), -1).reshape(-1, 2)
    first = grid[:, :1]
    for codes in (first, np.column_stack([first, 2 * first, -first])):
        for metric in (dis.flatness, dis.axis_alignment):
            assert metric(codes, grid).per_factor["factor1"] == 0
        assert 0.1 < dis.axis_alignment(codes, grid).value <= 0.5
    assert dis.axis_alignment(0 * grid, grid).value == 0
