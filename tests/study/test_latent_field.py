"""Edits by a field of latents, on a world whose latents are known: a disc of colour before a ground."""

import numpy as np
import pytest
import torch

from latentlab.data.moving.edits import centre
from latentlab.data.moving.factors import NAMES, FactorSampler
from latentlab.study.change import Change
from latentlab.study.latent_field import FieldEdit, fit_field


def world(rows: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """Latents of three channels: the ground's light, and the object's hue where it is."""
    at = (torch.arange(8) + 0.5) * 8
    grid = torch.stack(torch.meshgrid(at, at, indexing="xy"))
    near = torch.exp(-(grid - centre(rows, frames)[:, :, None, None]).square().sum(1) / (2 * 10**2))
    hue = torch.deg2rad(rows[:, NAMES.index("hue"), None, None])
    light = rows[:, NAMES.index("light"), None, None].expand_as(near)
    return torch.stack([light, near * hue.cos(), near * hue.sin()], 1)


@pytest.fixture(scope="module")
def field():
    sampler, rng = FactorSampler(0), np.random.default_rng(0)
    rows = torch.tensor(np.array([sampler(i) for i in range(400)])).float().repeat_interleave(4, 0)
    frames = torch.from_numpy(rng.integers(16, size=len(rows))).float()
    return fit_field(world(rows, frames), rows, frames, steps=300, reader_steps=150, batch=12)


@pytest.mark.slow  # a field learns, five processor seconds
@pytest.mark.parametrize(
    "change", [Change.of("light", 0.1, "by"), Change.of("hue", 90.0, "by"), Change.of("place", (5, 0), "by")], ids=str
)
def test_an_edit_brings_latents_nearer_to_those_that_were_wanted(field, change):
    row, frames = FactorSampler(1, fixed={"light": 0.7, "speed": 0.3, "start_x": 30.0})(3), torch.arange(16.0)
    before, after = (
        world(torch.tensor(one).float().expand(16, -1), frames).transpose(0, 1)[None]
        for one in (row, change.after(row))
    )
    edit = FieldEdit(field, change)
    edited = edit.apply(before)
    assert (edited - after).square().mean() < 0.35 * (before - after).square().mean()
    assert torch.equal(edit.apply(before, 0.0), before)
    assert edit.given == "labels"


def test_the_same_seed_learns_the_same_and_nobody_elses_numbers_change():
    rows, frames = torch.tensor(np.array([FactorSampler(0)(i) for i in range(4)])).float(), torch.zeros(4)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    one, other = (fit_field(world(rows, frames), rows, frames, steps=2, reader_steps=1, batch=2) for _ in range(2))
    assert torch.equal(torch.rand(3), expected)
    assert torch.equal(one(rows, frames), other(rows, frames))
