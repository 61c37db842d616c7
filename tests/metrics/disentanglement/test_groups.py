"""Groups of dims: wide codes scored by channel, frame or block."""

import numpy as np
import pytest

from latentlab.metrics import disentanglement as dis
from latentlab.metrics.disentanglement.groups import predict_folds
from latentlab.metrics.disentanglement.score import METRICS

RNG = np.random.default_rng(0)
FACTORS = RNG.integers(4, size=(1200, 3))
CHANNELS, PLACES = 3, 12


@pytest.fixture(scope="module")
def latents():
    """Channel c holds factor c, spread over its places so that no dim alone tells much: `(sample, channel, place)`."""
    patterns = RNG.standard_normal((CHANNELS, PLACES))
    return FACTORS[:, :, None] * patterns + 2.5 * RNG.standard_normal((1200, CHANNELS, PLACES))


def test_a_channel_knows_what_its_dims_hold_together(latents):
    codes, channels = latents.reshape(1200, -1), dis.group_by_axis((CHANNELS, PLACES), 0)
    kinds = ["ordinal"] * 3
    alone, together = dis.mig(codes, FACTORS, kinds=kinds), dis.mig(codes, FACTORS, kinds=kinds, units=channels)
    assert alone.value < 0.1
    assert together.value > 3 * alone.value
    assert together.matrix is not None
    assert together.matrix.shape == (3, 3)
    assert list(together.matrix.argmax(0)) == [0, 1, 2]
    mixed = dis.mig(codes, FACTORS, kinds=kinds, units=np.arange(36) % 3)  # groups across the channels
    assert mixed.value < 0.1


def test_every_metric_takes_groups(latents):
    codes, channels = latents.reshape(1200, -1), {f"channel {c}": np.arange(12) + 12 * c for c in range(3)}
    names = tuple(n for n in METRICS if n not in ("flatness", "axis_alignment"))
    found = dis.score(codes[:600], FACTORS[:600], names, null=0, bootstrap=0, progress=False, units=channels)
    assert all(np.isfinite(s.value) for s in found.values())
    assert {s.settings["units"] for s in found.values()} == {3}
    assert found["factor_vae"].value > 0.75
    for name in ("mig", "dci_d", "sap", "irs", "infom", "factor_vae", "snc"):
        matrix = found[name].matrix
        assert matrix is not None
        assert matrix.shape == (3, 3), name
        assert list(matrix.argmax(0)) == [0, 1, 2], name


def test_groups_that_know_nothing_score_chance():
    codes, groups = RNG.standard_normal((400, 30)), np.arange(30) // 10
    found = dis.mig(codes, FACTORS[:400], units=groups, null=10, bootstrap=20)
    assert found.ci is not None
    assert found.ci[0] <= 0 <= found.ci[1]


def test_predictions_never_come_from_the_sample_itself():
    """With more dims than samples a fit is perfect where it learned and useless elsewhere."""
    codes, target = RNG.standard_normal((90, 300)), RNG.standard_normal((90, 1))
    assert np.corrcoef(predict_folds(codes, target)[:, 0], target[:, 0])[0, 1] < 0.5
    signal = codes[:, :1] * 2 + 0.01 * target
    assert np.corrcoef(predict_folds(codes[:, :5], signal)[:, 0], signal[:, 0])[0, 1] > 0.99


def test_groups_by_axis():
    shape = (2, 3, 4, 4)  # channel, frame, height, width
    frames = dis.group_by_axis(shape, 1).reshape(shape)
    assert [np.unique(frames[:, t]).tolist() for t in range(3)] == [[0], [1], [2]]
    blocks = dis.group_by_axis(shape, (2, 3), block=2).reshape(shape)
    assert len(np.unique(blocks)) == 4
    assert len(np.unique(blocks[:, :, :2, :2])) == 1
    with pytest.raises(ValueError, match=r"axes \[7\] and block 1 do not fit"):
        dis.group_by_axis(shape, 7)


def test_dims_of_no_group_are_left_out():
    codes = np.column_stack([FACTORS, FACTORS])
    whole, part = dis.mig(codes, FACTORS), dis.mig(codes, FACTORS, units={"a": [0], "b": [1], "c": [2]})
    assert whole.value < 0.01
    assert part.value > 0.95
    named = {"a": [0], "b": [1], "c": [2]}
    assert dis.sap(codes, FACTORS, units=named).value > 0.95
    assert dis.snc_nk(codes, FACTORS, units=named)[0].value > 0.95
    alone = {"a": [0]}
    assert dis.dci(codes[:300], FACTORS[:300], units=alone)[2].value < 0.7
    assert dis.explicitness(codes, FACTORS, units=alone).value < 0.8


def test_masks_name_groups_as_numbers_do():
    factors = np.random.default_rng(0).integers(4, size=(200, 2))
    masks, numbers = {"a": [True, False], "b": [False, True]}, {"a": [0], "b": [1]}
    found = [dis.mig(factors, factors, units=groups).value for groups in (masks, numbers)]
    assert found[0] == found[1] > 0.9
    assert dis.group_by_axis((2, 2), np.int64(0)).tolist() == [0, 0, 1, 1]
