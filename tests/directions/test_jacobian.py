"""Top singular vectors of a Jacobian against those of the whole matrix."""

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks
from torch import nn

from latentlab.directions import JacobianSVD
from latentlab.directions.jacobian import pullback, pushed, top_directions


@parametrize_with_checks([JacobianSVD()])
def test_it_is_an_estimator(estimator, check):
    check(estimator)


class Small(nn.Module):
    """Attention and convolution, as a denoiser has them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(4, 16, 3, padding=1)
        self.mix = nn.Linear(16, 48)
        self.out = nn.Conv2d(16, 4, 3, padding=1)

    def forward(self, codes):
        x = torch.nn.functional.silu(self.conv(codes.view(-1, 4, 8, 8)))
        q, k, v = self.mix(x.flatten(2).transpose(1, 2)).chunk(3, -1)
        x = x + torch.nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).view(x.shape)
        return self.out(x)


@pytest.fixture(scope="module")
def network():
    return Small()


def jacobian(network, x, mask=None):
    f = (lambda z: network(z[None])[0]) if mask is None else (lambda z: network(z[None])[0] * mask)
    return torch.autograd.functional.jacobian(f, x, vectorize=True).flatten(0, -2).double()


@pytest.fixture(scope="module")
def points():
    return torch.randn(3, 256, generator=torch.Generator().manual_seed(1))


def test_products_are_those_with_the_whole_jacobian(network, points):
    whole = jacobian(network, points[0])
    v = torch.randn(256, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(pushed(network, points[0], v), whole @ v, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(pullback(network, points[0], v), whole.T @ v, atol=1e-5, rtol=1e-4)


def test_top_five_directions_with_a_tenth_of_the_products(network, points):
    """Subspace iteration on five vectors, 100 times forth and back, takes 1,000 products."""
    found = JacobianSVD(function=network).fit(points[:1].repeat(2, 1))
    _, values, axes = torch.linalg.svd(jacobian(network, points[0]))
    cosines = abs((found.directions_ * axes[:5].numpy()).sum(1))
    assert cosines.min() >= 0.99
    np.testing.assert_allclose(found.gain_, values[:5], rtol=1e-3)
    assert found.products_ <= 100


def test_several_points_are_stacked(network, points):
    found = JacobianSVD(function=network, count=2, points=3, blocks=30).fit(points)
    stacked = torch.cat([jacobian(network, x) for x in points])
    _, values, axes = torch.linalg.svd(stacked)
    assert abs((found.directions_ * axes[:2].numpy()).sum(1)).min() > 0.99
    np.testing.assert_allclose(found.gain_, values[:2] / 3**0.5, rtol=1e-3)


def test_a_mask_looks_at_part_of_the_output_and_null_leaves_the_rest_alone(network, points):
    mask = torch.zeros(4, 8, 8)
    mask[:, :4] = 1
    inside, outside = (jacobian(network, points[0], m) for m in (mask, 1 - mask))
    plain = JacobianSVD(function=network, count=2, mask=mask, blocks=30).fit(points[:1].repeat(2, 1))
    axes = torch.linalg.svd(inside)[2][:2].numpy()
    assert abs((plain.directions_ * axes).sum(1)).min() > 0.99
    held = JacobianSVD(function=network, count=2, mask=mask, null=20, blocks=30).fit(points[:1].repeat(2, 1))
    leak = [np.linalg.norm(outside.numpy() @ f.directions_.T) for f in (held, plain)]
    assert leak[0] < 0.8 * leak[1]
    most = torch.linalg.svd(outside)[2][:5].numpy()
    assert abs(plain.directions_ @ most.T).max() > 0.05
    assert abs(held.directions_ @ most.T).max() < 1e-3
    with pytest.raises(ValueError, match="null directions are those of what the mask leaves out; give a mask"):
        JacobianSVD(function=network, null=3).fit(points)


def test_a_jacobian_of_low_rank_ends_the_search_early():
    a = torch.randn(2, 30, generator=torch.Generator().manual_seed(0))
    values, vectors, products = top_directions(lambda z: z @ a.T, torch.zeros(1, 30), 2, blocks=50)
    torch.testing.assert_close(values, torch.linalg.svdvals(a.double()), atol=1e-5, rtol=1e-5)
    assert products < 10
    torch.testing.assert_close(vectors @ vectors.T, torch.eye(2, dtype=torch.float64))


def test_the_same_seed_finds_the_same(network, points):
    one, two = (JacobianSVD(function=network, count=2, blocks=3).fit(points) for _ in range(2))
    np.testing.assert_array_equal(one.directions_, two.directions_)
    with pytest.raises(ValueError, match="count, block and blocks must be at least 1, got 0, 2 and 24"):
        JacobianSVD(function=network, count=0).fit(points)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda z: z * float("nan"), "NaN or infinite"),
        (lambda z: 0 * z, "does not change with the codes"),
        (torch.no_grad()(lambda z: 2 * z), "keeps no gradient"),
    ],
)
def test_a_function_without_a_jacobian_is_told(function, said):
    with pytest.raises(ValueError, match=said):
        JacobianSVD(function=function).fit(torch.ones(3, 4))
