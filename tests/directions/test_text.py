"""Directions from caption pairs, with an embedding whose meaning is planted."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentlab.directions import Text, caption_direction
from latentlab.directions.text import contrasts

WORDS = {"dark": [1.0, 0.0, 0.2, 0], "bright": [-1.0, 0.0, 0.2, 0], "small": [0, 1, 0.2, 0], "large": [0, -1, 0.2, 0]}
PAIRS = {"light": ("dark", "bright"), "size": ("small", "large")}


def embed(captions):
    return torch.tensor([WORDS[caption] for caption in captions])


@pytest.fixture(scope="module")
def seen():
    """Codes of clips, and what the joint model says of them, with noise; light and size go together."""
    rng = np.random.default_rng(0)
    factors = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], 500)
    codes = factors @ np.array([[2.0, 0, 0], [0, 1, 0]]) + 0.3 * rng.standard_normal((500, 3))
    return codes, np.column_stack([-factors, np.full(500, 5.0), rng.standard_normal(500)]) * 3


def test_pairs_become_directions_that_are_held_apart(seen):
    found = Text(pairs=PAIRS, embed=embed).fit(*seen)
    assert found.names_ == ["light", "size"]
    np.testing.assert_allclose(found.directions_, np.eye(3)[:2], atol=0.15)
    assert found["light"].p == 0.01
    torch_found = Text(pairs=PAIRS, embed=embed).fit(*(torch.from_numpy(part) for part in seen))
    np.testing.assert_allclose(torch_found.directions_, found.directions_)


@parametrize_with_checks([Text()])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


def test_differences_stand_for_embeddings(seen):
    codes, clips = seen
    told = contrasts(clips, PAIRS, embed)
    found = Text(pairs=PAIRS).fit(codes, told)
    assert found.names_ == ["light", "size"]
    np.testing.assert_array_equal(found.directions_, Text(pairs=PAIRS, embed=embed).fit(*seen).directions_)


def test_captions_in_the_conditioning_are_differences_averaged_over_pairs():
    codes = {"a red star": [0, 1, 5], "a blue star": [0, 3, 5], "a red disc": [1, 1, 5], "a blue disc": [1, 1, 7.0]}
    found = caption_direction(
        lambda captions: np.array([codes[c] for c in captions]),
        [("a red star", "a blue star"), ("a red disc", "a blue disc")],
        "hue",
    )
    np.testing.assert_allclose(found.vector, np.array([0, 1, 1]) / np.sqrt(2))
    assert found.name == "hue"
    assert found.scale == pytest.approx(np.sqrt(2))


def test_what_says_nothing_is_told(seen):
    codes, clips = seen
    with pytest.raises(ValueError, match="Text needs pairs"):
        Text(embed=embed).fit(codes, clips)
    with pytest.raises(ValueError, match="the model cannot tell the two captions of 'none' apart"):
        Text(pairs={"none": ("dark", "dark")}, embed=embed).fit(codes, clips)
    with pytest.raises(ValueError, match=r"embeddings of clips must be \(sample, 4\)"):
        Text(pairs=PAIRS, embed=embed).fit(codes, clips[:, :3])
    with pytest.raises(ValueError, match="the captions of 'dark > dark' have one code; say something else"):
        caption_direction(embed, ("dark", "dark"))
