"""Coverage: what was planted is found, and nothing where nothing was."""

import numpy as np
import pytest
import tiny
import torch

from latentlab.data import moving_shapes
from latentlab.data.moving.factors import NAMES, FactorSampler
from latentlab.generator.native import NativeGenerator
from latentlab.study.coverage import coverage, covered

DATA = FactorSampler(seed=0).table(range(4000))
FRESH = FactorSampler(seed=1).table(range(3000))


def column(name):
    return FRESH.values[:, NAMES.index(name)]


def test_the_data_themselves_raise_no_alarm():
    """Of 40 samples of the data, 5 % would be two; more than five have a chance below 1.5 %."""
    found = [covered(FRESH[np.arange(64 * i, 64 * i + 64)], DATA, seed=i) for i in range(40)]
    assert sum(one.collapsed for one in found) <= 5
    assert sum(any(h.unlike for h in one.histograms) for one in found) <= 5
    assert np.mean([h.distance < h.chance for one in found for h in one.histograms]) == pytest.approx(0.95, abs=0.04)


def test_a_mode_that_never_comes_is_named():
    green = np.abs((column("hue") - 120 + 180) % 360 - 180) < 30
    found = covered(FRESH[np.flatnonzero(~green)[:80]], DATA)
    (hue,) = [h for h in found.histograms if h.factor == "hue"]
    assert hue.missing == ("green",)
    assert [h.missing for h in found.histograms if h.factor != "hue"] == [()] * 10
    assert found.collapsed


def test_a_pair_that_never_comes_is_named_and_its_parts_are_not():
    red = np.abs((column("hue") + 180) % 360 - 180) < 30
    pair = red & (column("shape") == 3)
    found = covered(FRESH[np.flatnonzero(~pair)[:800]], DATA)
    assert found.pairs == ("shape star, hue red",)
    assert not any(h.missing for h in found.histograms)


def test_a_bias_is_named():
    large = np.flatnonzero(column("size") > 8)[:60]
    small = np.flatnonzero(column("size") < 8)[:30]
    found = covered(FRESH[np.concatenate([large, small])], DATA)
    (size,) = [h for h in found.histograms if h.unlike]
    assert (size.factor, size.most) == ("size", "8.02 to 9.2")
    assert "8.02 to 9.2 came in" in "\n".join(found.lines())


class Planted(NativeGenerator):
    """Draws exact clips of what a caption admits, but never a circle."""

    def generate(self, condition, *, seed=0, **options):
        hue = {"hue": 0.0} if "red" in condition[0] else {}
        drawn = [{"shape": float(1 + i % 4), **hue} for i in range(len(condition))]
        return torch.cat([moving_shapes(1, seed=seed + i, fixed=fixed)[0] for i, fixed in enumerate(drawn)])


def test_a_planted_collapse_of_a_generator():
    base = tiny.generator()
    planted = Planted(base.autoencoder, base.denoiser, base.clip_model, base.config)
    every, red = coverage(planted, ["", "a red star"], count=32, seed=3)
    assert every.histograms[0].missing == ("circle",)
    assert every.nothing == 0
    assert {h.factor for h in every.histograms if h.unlike} <= {"shape", "rotation"}  # that of a circle is not seen
    assert red.histograms[0].unlike  # the data of "a red star" are stars alone
    hue = red.histograms[1]
    assert hue.data[0] == hue.drawn[0] == 1.0


def test_clips_without_an_object_are_told():
    values = FRESH.values[:20].copy()
    values[:5] = np.nan
    assert covered(type(FRESH)(values, FRESH.specs), DATA).nothing == 0.25


def test_captions_that_the_data_never_admit():
    with pytest.raises(ValueError, match="a circle spinning clockwise"):  # of which nobody sees the spin
        coverage(tiny.generator(), ["a circle spinning clockwise"], count=1)
