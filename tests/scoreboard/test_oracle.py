"""The synthetic generator: what it promises holds."""

import numpy as np
import pytest
import torch

from latentlab.directions import Effect
from latentlab.scoreboard.oracle import Oracle


def test_the_world_is_as_ordered():
    oracle = Oracle(cosine=0.3, anisotropy=10.0)
    gram = oracle.normals @ oracle.normals.T
    np.testing.assert_allclose(gram, 0.3 + 0.7 * np.eye(6), atol=1e-12)
    values = np.linalg.eigvalsh(oracle.covariance)
    assert values[-1] / values[0] == pytest.approx(10)
    codes, labels = oracle.draw(4000)
    np.testing.assert_allclose(np.cov(codes.numpy().T), oracle.covariance, atol=0.7)
    error = labels.values - oracle.read(codes).values
    np.testing.assert_allclose(error.std(0) / oracle.read(codes).values.std(0), 0.2, rtol=0.05)


def test_the_true_move_changes_one_factor_and_is_the_shortest_that_does():
    oracle = Oracle()
    truth = oracle.truth()
    effect = oracle.normals @ truth.T
    np.testing.assert_allclose(effect, np.diag(np.diag(effect)), atol=1e-12)
    rng = np.random.default_rng(0)
    other = rng.standard_normal(64)
    other -= np.linalg.pinv(oracle.normals) @ (oracle.normals @ other)  # changes no factor, so may be added
    inverse = np.linalg.inv(oracle.covariance)
    for step in (-0.1, 0.1):
        assert (truth[0] + step * other) @ inverse @ (truth[0] + step * other) > truth[0] @ inverse @ truth[0]


def test_a_bent_world_has_its_true_move_in_the_mean():
    """Against finite differences of the factors along the move, at each code."""
    oracle = Oracle(mix=1.0)
    codes, _ = oracle.draw(500, seed=1)
    moved = oracle.read(codes + 1e-4 * torch.from_numpy(oracle.truth(500)[2])).values - oracle.read(codes).values
    mean = moved.mean(0) / 1e-4
    assert mean[2] > 0.5
    assert np.abs(np.delete(mean, 2)).max() < 0.1 * mean[2]
    assert moved.std(0).min() > 0  # and so it is not the same everywhere


def test_effect_leaks_less_than_the_bar():
    """Issue: D 64, 1,000 labels, pairwise cosine 0.4, anisotropy 30, leakage at most 0.02."""
    leakage = []
    for seed in range(5):
        oracle = Oracle(seed=seed)
        codes, labels = oracle.draw(1000)
        spread = np.sqrt(np.diag(oracle.normals @ oracle.covariance @ oracle.normals.T))
        effect = np.abs(Effect().fit(codes, labels).directions_ @ oracle.normals.T / spread)
        own = np.diag(effect)
        leakage.append(((effect.sum(1) - own) / 5 / own).mean())
    assert np.mean(leakage) < 0.02


def test_draws_repeat_and_differ():
    oracle = Oracle()
    assert torch.equal(oracle.draw(5, seed=3)[0], oracle.draw(5, seed=3)[0])
    assert not torch.equal(oracle.draw(5, seed=3)[0], oracle.draw(5, seed=4)[0])


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"count": 65}, r"to as many as dims \(64\), got 65"),
        ({"cosine": -0.5}, "6 vectors cannot all have the cosine -0.5"),
        ({"anisotropy": 0.5}, "got 0.5, 0.0, 0.2"),
    ],
)
def test_worlds_that_cannot_be(wrong, told):
    with pytest.raises(ValueError, match=told):
        Oracle(**wrong)
