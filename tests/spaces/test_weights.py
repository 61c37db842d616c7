"""The space of adapters against the singular value decomposition of their products written out."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from latentlab.directions import Effect, edit
from latentlab.generator.adapter import Adapter
from latentlab.generator.update import LowRank, Whole
from latentlab.interpolate import lerp
from latentlab.spaces import WeightSpace
from latentlab.spaces.weights import nearest_code

PLACES = ("middle.space.modulate", "enter")  # a matrix and a convolution


def random(generator, seed: int, rank: int = 2, places=PLACES) -> Adapter:
    drawn = torch.Generator().manual_seed(seed)
    updates = {}
    for place in places:
        weight = generator.denoiser.get_submodule(place).weight
        down = torch.randn(rank, *weight.shape[1:], generator=drawn)
        up = torch.randn(len(weight), rank, *[1] * (weight.ndim - 2), generator=drawn)
        bias = torch.randn(len(weight), generator=drawn) if place == "enter" and seed % 2 else None
        updates[place] = LowRank(0.1 * down, up, alpha=3.0, bias=bias)
    return Adapter(updates, name=f"adapter {seed}")


def flat(adapter: Adapter) -> np.ndarray:
    parts = []
    for place in PLACES:
        delta = adapter.updates[place].delta()
        width = len(delta["weight"])
        parts += [delta["weight"].flatten(), delta.get("bias", torch.zeros(width))]
    return torch.cat(parts).double().numpy()


@pytest.fixture
def adapters(tiny_generator):
    return [random(tiny_generator, seed) for seed in range(5)]


@pytest.fixture
def space(tiny_generator, adapters):
    return WeightSpace(tiny_generator, adapters, caption="a red star", num_steps=1)


def test_codes_are_the_rows_of_u_s(space, adapters):
    rows = np.stack([flat(adapter) for adapter in adapters])
    u, s, _ = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    assert space.shape == (4,)  # of five points and their mean
    signs = np.sign((space.codes.numpy() * u[:, :4]).sum(0))
    assert np.allclose(space.codes, signs * u[:, :4] * s[:4], atol=1e-4 * s[0])
    assert np.allclose(space.explained, s[:4] ** 2 / (s**2).sum(), atol=1e-6)


def test_adapters_come_back(space, adapters):
    for code, adapter in zip(space.codes, adapters, strict=True):
        assert np.allclose(flat(space.adapter(code)), flat(adapter), atol=1e-5)
    assert torch.allclose(space.encode_adapters(adapters), space.codes, atol=1e-4)


def test_how_a_product_is_split_changes_nothing(tiny_generator, space, adapters):
    mixed, turn = [], torch.tensor([[2.0, 1.0], [0.5, 1.0]])
    for adapter in adapters:
        updates = {}
        for place, u in adapter.updates.items():
            down = (turn @ u.down.flatten(1)).reshape(u.down.shape)
            up = (u.up.flatten(1) @ turn.inverse()).reshape(u.up.shape)
            updates[place] = replace(u, down=2 * down, up=up, alpha=u.alpha / 2)
        mixed.append(replace(adapter, updates=updates))
    assert torch.allclose(WeightSpace(tiny_generator, mixed).codes, space.codes, atol=1e-4)


def test_the_mean_of_products_is_the_middle(space, adapters):
    rows = np.stack([flat(adapter) for adapter in adapters])
    assert np.allclose(flat(space.adapter(torch.zeros(4))), rows.mean(0), atol=1e-5)


def test_fewer_dims_and_ranks_are_the_nearest(tiny_generator, adapters):
    rows = np.stack([flat(adapter) for adapter in adapters])
    _, _, v = np.linalg.svd(rows - rows.mean(0), full_matrices=False)
    space = WeightSpace(tiny_generator, adapters, dims=2)
    expected = rows.mean(0) + (rows[0] - rows.mean(0)) @ v[:2].T @ v[:2]
    assert np.allclose(flat(space.adapter(space.codes[0])), expected, atol=1e-5)
    first = WeightSpace(tiny_generator, adapters, rank=1).adapter(torch.zeros(4)).updates[PLACES[0]]
    mean = torch.stack([a.updates[PLACES[0]].delta()["weight"] for a in adapters]).mean(0)
    u, s, v = torch.linalg.svd(mean)
    assert first.rank == 1
    assert torch.allclose(first.delta()["weight"], s[0] * u[:, :1] * v[:1], atol=1e-5)


def test_layers_that_some_have_not_count_as_nothing(tiny_generator, adapters):
    part = random(tiny_generator, 9, places=PLACES[:1])
    space = WeightSpace(tiny_generator, [*adapters[:2], part])
    back = space.adapter(space.codes[2])
    assert torch.allclose(
        back.updates[PLACES[0]].delta()["weight"], part.updates[PLACES[0]].delta()["weight"], atol=1e-5
    )
    assert back.updates[PLACES[1]].delta()["weight"].abs().max() < 1e-5


def test_codes_are_drawn_and_finders_and_paths_work(tiny_generator, space, adapters):
    clip = space.decode(space.codes[:1])
    drawn = tiny_generator.adapted({adapters[0]: 1.0}).generate("a red star", num_steps=1, method="ddim", seed=0)
    assert torch.allclose(clip, drawn, atol=1e-4)
    found = Effect(names=["light"]).fit(space.codes, np.arange(5.0))["light"]
    assert space.decode(edit(space.codes[:2], found, 1.0)).shape == (2, 3, 4, 16, 16)
    assert space.decode(lerp(space.codes[:1], space.codes[1:2], 0.5)[0]).shape == (1, 3, 4, 16, 16)
    assert space.describe()["shape"] == [4]


def test_the_most_likely_code_is_that_of_ridge_regression():
    drawn = torch.Generator().manual_seed(0)
    turn, middle = (torch.randn(*shape, generator=drawn).double() for shape in ((60, 3), (60,)))
    spread, code = torch.tensor([2.0, 1.0, 0.5]).double(), torch.tensor([1.0, -2.0, 0.3]).double()
    noise = torch.randn(60, generator=drawn).double()
    wanted = turn @ code + middle + noise
    left = wanted - middle - turn @ torch.linalg.lstsq(turn, (wanted - middle)[:, None]).solution[:, 0]
    ridge = turn.T @ turn + left.square().mean() * torch.diag(spread**-2)
    expected = torch.linalg.solve(ridge, turn.T @ (wanted - middle))
    for passes in (1, 3):  # of a field that is linear, more passes change nothing
        found = nearest_code(lambda c: turn @ c + middle, wanted, spread, passes)
        assert torch.allclose(found, expected, atol=1e-6)


def test_clips_have_codes(space, clips):
    codes = space.encode(clips[:2], passes=1)
    assert codes.shape == (2, 4)
    assert torch.allclose(space.encode(clips[:1], passes=1), codes[:1], atol=1e-4)
    assert (codes.double().abs() < 10 * space.spread).all()


def test_what_is_no_space_is_told(tiny_generator, adapters):
    with pytest.raises(ValueError, match="two at least, got 1"):
        WeightSpace(tiny_generator, adapters[:1])
    with pytest.raises(ValueError, match="all alike"):
        WeightSpace(tiny_generator, [adapters[0], adapters[0]])
    whole = Adapter({PLACES[0]: Whole(torch.ones_like(tiny_generator.denoiser.middle.space.modulate.weight))}, name="w")
    with pytest.raises(ValueError, match="extract"):
        WeightSpace(tiny_generator, [adapters[0], whole])
    worded = replace(adapters[1], words={"ink": torch.zeros(16)})
    with pytest.raises(ValueError, match="ink"):
        WeightSpace(tiny_generator, [adapters[0], worded])
