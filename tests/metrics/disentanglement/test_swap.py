"""Swaps on decoders whose answer is known."""

import numpy as np
import pytest
import torch

from latentlab.factors import Factor, FactorTable
from latentlab.metrics import disentanglement as dis

RNG = np.random.default_rng(0)
FACTORS = np.column_stack([RNG.integers(4, size=600), RNG.integers(3, size=600), RNG.uniform(0, 360, 600)])
KINDS = ("categorical", "ordinal", "circular")


def decode(codes):
    return codes


def test_a_perfect_code_swaps_perfectly():
    found, still = dis.swap(FACTORS, FACTORS, decode, kinds=KINDS, pairs=400, null=3, bootstrap=20)
    assert found.value == pytest.approx(1, abs=0.03)
    assert found.null is not None
    assert found.null < 0.8
    assert found.ci is not None
    assert found.ci[0] > 0.5
    assert found.settings["subsets"] == {"factor0": [0], "factor1": [1], "factor2": [2]}
    assert still.value == 1


def test_a_decoder_that_ignores_its_code_scores_about_one_half():
    found, _ = dis.swap(FACTORS, FACTORS, lambda z: np.zeros((len(z), 3)), kinds=KINDS)
    assert 0.4 < found.value < 0.7


def test_a_wrong_mapping_is_punished():
    wrong = {"factor0": [1], "factor1": [0], "factor2": [2]}
    found, _ = dis.swap(FACTORS, FACTORS, decode, kinds=KINDS, subsets=wrong)
    assert found.value < 0.7
    missing, _ = dis.swap(FACTORS, FACTORS, decode, kinds=KINDS, subsets={"factor1": [1], "factor2": [2]})
    assert missing.per_factor["factor0"] == pytest.approx(1 / 4, abs=0.1)


def test_sequences_keep_what_is_static():
    """Three frames: the first factor in every frame of dim 0, the second only in the first frame of dim 1."""
    frames = np.repeat(FACTORS[:, None, :2], 3, axis=1)
    frames[:, 1:, 1] = RNG.standard_normal((600, 2))

    def read(codes):
        return torch.as_tensor(codes).round()

    found, still = dis.swap(frames, FACTORS[:, :2], read, kinds=KINDS[:2])
    assert found.settings["subsets"] == {"factor0": [0], "factor1": [1]}
    assert still.per_factor["factor0"] == 1
    assert still.per_factor["factor1"] < 0.8


def test_what_cannot_be_read_never_agrees():
    found, _ = dis.swap(FACTORS, FACTORS, lambda z: np.where([True, False, False], np.nan, z), kinds=KINDS)
    assert found.per_factor["factor0"] == 0


def test_what_is_read_has_the_table_s_unit():
    specs = (Factor("shape", "categorical", 0, 3), Factor("hour", "circular", 0, 12))
    hours = FactorTable(FACTORS[:, [0, 2]] / [1, 30], specs)
    found, _ = dis.swap(hours.values, hours, decode)
    expected, _ = dis.swap(FACTORS[:, [0, 2]], FACTORS[:, [0, 2]], decode, kinds=("categorical", "circular"))
    assert found.value == pytest.approx(expected.value) == pytest.approx(1, abs=0.05)


def test_subsets_may_be_masks_and_readings_of_any_precision():
    masks = {"factor0": [True, False, False], "factor1": [False, True, False], "factor2": [False, False, True]}

    def read(codes):
        return torch.tensor(codes).float().requires_grad_()

    found, _ = dis.swap(FACTORS, FACTORS, read, kinds=KINDS, subsets=masks)
    assert found.settings["subsets"] == {"factor0": [0], "factor1": [1], "factor2": [2]}
    assert found.value == pytest.approx(1, abs=0.05)
    static = torch.tensor(FACTORS[:, :2]).bfloat16()
    found, _ = dis.swap(static, FACTORS[:, :2], lambda z: torch.tensor(z).bfloat16(), kinds=KINDS[:2])
    assert found.value == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"subsets": {"hue": [0]}}, "subset 'hue'"),
        ({"subsets": {"factor0": [9]}}, "subset 'factor0'"),
        ({"subsets": {"factor0": [0.5]}}, "whole numbers"),
        ({"pairs": 1}, "pairs=1"),
        ({"read": lambda z: z[:, :2]}, r"`read` must return factors \(64, 3\)"),
    ],
)
def test_bad_swaps_are_named(options, match):
    with pytest.raises(ValueError, match=match):
        dis.swap(FACTORS, FACTORS, **{"read": decode, "kinds": KINDS, **options})
