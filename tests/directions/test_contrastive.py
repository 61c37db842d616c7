"""Learned directions: told apart, resumable, deterministic."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from latentlab.directions import Contrastive
from latentlab.directions.contrastive import told_apart


@parametrize_with_checks([Contrastive(count=2, steps=3)])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


CODES = np.random.default_rng(0).standard_normal((60, 8)).astype(np.float32)


def bumps(z):
    """Features that bend with where the code is, and see four of eight dims."""
    return torch.sin(1.3 * z[:, :4])


def test_the_loss_is_that_of_the_paper():
    changes = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0))
    flat = changes.flatten(0, 1)
    cosine = torch.nn.functional.cosine_similarity(flat[:, None], flat[None], dim=2)
    losses = []
    for i in range(12):
        same = [j for j in range(12) if j // 4 == i // 4 and j != i]
        other = [j for j in range(12) if j // 4 != i // 4]
        losses.append(-torch.log((cosine[i, same] / 0.3).exp().sum() / (cosine[i, other] / 0.3).exp().sum()))
    torch.testing.assert_close(told_apart(changes, 0.3), torch.stack(losses).mean())


@pytest.mark.parametrize("rank", [0, 2])
def test_learned_directions_are_told_apart_better_than_random_ones(rank):
    random = Contrastive(features=bumps, count=4, steps=0, rank=rank).fit(CODES)
    learned = Contrastive(features=bumps, count=4, steps=150, rank=rank, learning_rate=0.03).fit(CODES)
    assert learned.accuracy_ > random.accuracy_ + 0.08
    assert np.mean(learned.loss_[-10:]) < np.mean(learned.loss_[:10]) - 0.5
    assert np.linalg.norm(learned.directions_, axis=1) == pytest.approx(np.ones(4))


@pytest.mark.parametrize("rank", [0, 2])
def test_a_run_cut_short_goes_on_as_if_it_had_not_been(tmp_path, rank):
    options = {"features": bumps, "count": 3, "every": 10, "rank": rank}
    whole = Contrastive(steps=30, **options).fit(CODES)
    path = tmp_path / "run" / "state.safetensors"
    Contrastive(steps=13, checkpoint=path, **options).fit(CODES)
    resumed = Contrastive(steps=30, checkpoint=path, **options).fit(CODES)
    np.testing.assert_array_equal(resumed.directions_, whole.directions_)
    assert resumed.loss_ == whole.loss_
    with pytest.raises(ValueError, match="of other settings or codes; take another file, or remove it"):
        Contrastive(steps=40, checkpoint=path, strength=2.0, **options).fit(CODES)
    with pytest.raises(ValueError, match="holds 30 steps, more than the 20 asked for"):
        Contrastive(steps=20, checkpoint=path, **options).fit(CODES)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is not a readable safetensors file"):
        Contrastive(steps=30, checkpoint=path, **options).fit(CODES)


def test_one_direction_has_nothing_to_differ_from():
    with pytest.raises(ValueError, match="count and batch_size must be at least 2, got 1 and 8"):
        Contrastive(count=1).fit(CODES)


@pytest.mark.parametrize(
    ("features", "said"),
    [(lambda z: z * float("nan"), "NaN or infinite at step 0"), (torch.no_grad()(lambda z: 2 * z), "keep no gradient")],
)
def test_features_that_teach_nothing_are_told(features, said):
    with pytest.raises(ValueError, match=said):
        Contrastive(features=features, count=2, steps=2).fit(np.eye(4))
