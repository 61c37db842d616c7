"""Kernel distance and precision and recall, against their sums written out and torchmetrics."""

import pytest
import torch

from latentlab.metrics import kernel
from latentlab.metrics.frechet import Moments
from latentlab.metrics.kernel import PrecisionRecall, kernel_distance, precision_recall


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def written_out(x: torch.Tensor, y: torch.Tensor) -> float:
    """The U-statistic, pair by pair."""

    def k(a, b):
        return (float(a @ b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


class TestKernel:
    @pytest.mark.parametrize("block", [3, 1024])
    def test_it_is_the_sum_over_pairs(self, block, monkeypatch):
        monkeypatch.setattr(kernel, "BLOCK", block)
        x, y = normal(7, 4, seed=1), 1.5 * normal(10, 4, seed=2) + 0.3
        assert kernel_distance(x, y) == pytest.approx(written_out(x, y), rel=1e-12)

    def test_it_is_the_kid_of_torchmetrics(self):
        image = pytest.importorskip("torchmetrics.image.kid", reason="torchmetrics is not installed")
        x, y = normal(40, 16, seed=1).float(), normal(40, 16, seed=2).float() + 0.2
        theirs = float(image.poly_mmd(x.double(), y.double()))
        assert kernel_distance(x, y) == pytest.approx(theirs, rel=1e-9)

    def test_equal_distributions_score_0_on_average(self):
        found = torch.tensor([kernel_distance(normal(20, 8, seed=i), normal(20, 8, seed=99 - i)) for i in range(40)])
        assert abs(found.mean()) < 3 * found.std() / 40**0.5
        assert found.min() < 0

    def test_it_is_symmetric_and_minds_no_order(self):
        x, y = normal(7, 4, seed=1), normal(10, 4, seed=2) + 1
        assert kernel_distance(y.flip(0), x) == pytest.approx(kernel_distance(x, y), rel=1e-12)

    def test_one_sample_is_an_error(self):
        with pytest.raises(ValueError, match="two samples at least, got 1 and 5"):
            kernel_distance(normal(1, 3), normal(5, 3))


class TestPrecisionRecall:
    def test_four_points_on_a_line_by_hand(self):
        """With k = 1, balls around 0, 1, 3 reach 1, 1, 2; those around 0.5, 10, 11 reach 9.5, 1, 1."""
        reference, found = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([[0.5], [10.0], [11.0]])
        assert precision_recall(found, reference, neighbours=1) == PrecisionRecall(1 / 3, 1, (3, 3), 1)

    def test_a_set_lies_in_itself(self):
        x = normal(50, 3)
        assert precision_recall(x, x) == PrecisionRecall(1, 1, (50, 50), 3)

    def test_samples_of_one_mode_are_precise_and_recall_little(self):
        reference = torch.cat([normal(50, 2, seed=1), normal(50, 2, seed=2) + 20])
        found = precision_recall(normal(100, 2, seed=3), reference)
        assert found.precision > 0.9
        assert 0.3 < found.recall < 0.55

    def test_blocks_do_not_change_it(self, monkeypatch):
        x, y = normal(50, 2, seed=1), normal(60, 2, seed=2) + 0.5
        whole = precision_recall(x, y)
        monkeypatch.setattr(kernel, "BLOCK", 7)
        assert precision_recall(x, y) == whole

    @pytest.mark.parametrize("k", [0, 5])
    def test_too_many_neighbours_are_an_error(self, k):
        with pytest.raises(ValueError, match=f"from 1 to 4, got {k}"):
            precision_recall(normal(5, 2), normal(9, 2), neighbours=k)


def test_what_holds_no_samples_is_told():
    x = normal(8, 2)
    for measure in (kernel_distance, precision_recall):
        with pytest.raises(ValueError, match=r"need.* the features themselves, got moments"):
            measure(Moments.of(x), x)
        with pytest.raises(ValueError, match=r"must be a tensor \(sample, dim\), got ndarray; `torch.from_numpy`"):
            measure(x.numpy(), x)
