"""Colours: what they have to be for those who see less of them."""

import numpy as np
import pytest

from latentlab.factors import Factor
from latentlab.view.style import CATEGORIES, MAPS, PAGE, PALETTE, STOPS, Scale, colored, oklab, scale_of

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB
BLIND = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "nobody": np.eye(3).tolist(),
}


def linear(colors) -> np.ndarray:
    rgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in colors])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def seen(colors, kind: str) -> np.ndarray:
    """Colours as they look to somebody, in OKLab, whose unit is the step from black to white."""
    rgb = np.clip(linear(colors) @ np.array(BLIND[kind]).T, 0, 1)
    lms = np.cbrt(rgb @ np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]).T)
    return lms @ np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]]).T


def contrast(color: str, page: str) -> float:
    a, b = linear([color, page]) @ [0.2126, 0.7152, 0.0722]
    return float((max(a, b) + 0.05) / (min(a, b) + 0.05))


@pytest.mark.parametrize("kind", BLIND)
def test_maps_can_be_read_by_everybody(kind):
    for name, colors in MAPS.items():
        assert len(colors) == STOPS
        lab = seen(colors, kind)
        steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
        assert steps.min() > 0.2 * steps.mean(), name  # nowhere flat
    assert (np.diff(seen(MAPS["sequential"], kind)[:, 0]) > 0).all()


@pytest.mark.parametrize("kind", BLIND)
def test_opposite_angles_look_different_and_the_ends_meet(kind):
    colors = MAPS["circular"]
    lab = seen(colors, kind)
    half = STOPS // 2
    assert np.linalg.norm(lab[:half] - lab[half : 2 * half], axis=1).min() > 0.12
    assert colors[0] == colors[-1]


def test_points_are_seen_on_both_pages():
    for dark, page in PAGE.items():
        for name in ("sequential", "circular"):
            worst = min(contrast(color, page) for color in MAPS[name])
            assert worst > 1.35, (name, dark)
        assert min(contrast(pair[dark], page) for pair in (*PALETTE, *CATEGORIES)) >= 3


def test_oklab_of_white_gray_and_black():
    np.testing.assert_allclose(oklab(np.array([[1.0, 0, 0], [0.0, 0, 0]])), [[1, 1, 1], [0, 0, 0]], atol=1e-3)
    gray = oklab(np.array([0.6, 0, 0]))
    assert np.ptp(gray) < 1e-3


def test_scales():
    assert scale_of(np.array([1.0, np.nan, 3.0])) == Scale("sequential", 1, 3)
    assert scale_of(np.array([0, 2, 1])).kind == "categorical"
    assert scale_of(np.array([0, 500])).kind == "sequential"
    assert scale_of(np.array([-1.0, 3.0]), kind="diverging") == Scale("diverging", -3, 3)
    assert scale_of(np.zeros(2), kind="diverging") == Scale("diverging", -1, 1)
    assert scale_of(np.array([5.0, 90.0]), period=360).kind == "circular"
    assert scale_of(np.array([np.nan])).low == 0
    circle = Scale("circular", 0, 360)
    assert circle.colors([10.0]) == circle.colors([370.0]) == circle.colors([-350.0])
    assert circle.colors([np.nan]) == [PALETTE[-1][0]]
    assert Scale("sequential", 2, 2).colors([2.0])[0] in MAPS["sequential"]


@pytest.mark.parametrize(
    ("given", "labels", "index"),
    [
        ([-1, 0, 1, -1], ("-1", "0", "1"), [0, 1, 2, 0]),  # DBSCAN's outliers
        ([2024, 2019, 2020], ("2019", "2020", "2024"), [2, 0, 1]),
        ([9, 10, 2], ("2", "9", "10"), [1, 2, 0]),
        ([True, False], ("False", "True"), [1, 0]),
        (["b", None, "a", float("nan")], ("a", "b"), [1, np.nan, 0, np.nan]),
        ([b"b", b"a"], ("a", "b"), [1, 0]),
    ],
)
def test_categories_become_the_index_of_their_label(given, labels, index):
    color = np.array(given, dtype=object) if None in given else np.array(given)
    values, scale = colored(color, "", None, None, len(given))
    assert scale.labels == labels
    np.testing.assert_array_equal(values, index)


def test_a_factor_keeps_its_labels_and_does_not_guess():
    factor = Factor("shape", "categorical", 0, 1, labels=("star", "circle"))
    values, scale = colored([1.0, np.nan, 0.0, 7.0], "", factor, None, 4)
    np.testing.assert_array_equal(values, [1, np.nan, 0, np.nan])
    assert scale.labels == ("star", "circle")
    label, color, _, rows = list(scale.groups(values, dark=True))[-1]
    assert (label, color, rows.tolist()) == ("unknown", PALETTE[-1][True], [1, 3])


def test_a_period_is_a_positive_number():
    with pytest.raises(ValueError, match="`period` must be a positive number, such as 360, got 0"):
        scale_of(np.array([1.0]), period=0)
