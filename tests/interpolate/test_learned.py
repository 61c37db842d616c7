"""Learned interpolation: exact ends, better than the straight line where there is something to learn."""

import pytest
import torch

from latentlab.interpolate import Between, fit_between, held_out_error, through


def wandering(clips: int, seed: int) -> torch.Tensor:
    """A blob that moves on a curve: between two frames it is in one place, and the straight line shows it in two."""
    phase = 6.28 * torch.rand(clips, 1, generator=torch.Generator().manual_seed(seed))
    angle = phase + 0.35 * torch.arange(9)
    x, y = 3.5 + 2 * angle.cos(), 3.5 + 2 * angle.sin()
    grid = torch.arange(8.0)
    across = (grid - x[..., None, None]) ** 2 + (grid[:, None] - y[..., None, None]) ** 2
    return (-across / 2).exp()[:, None]


@pytest.fixture(scope="module")
def learned() -> Between:
    return fit_between(wandering(64, 0), span=4, steps=150, width=32, blocks=2)


def test_it_beats_the_straight_line_on_unseen_sequences(learned):
    assert held_out_error(learned, wandering(16, 1), span=4)["ratio"] < 0.5


def test_untrained_it_is_the_straight_line():
    errors = held_out_error(Between(1), wandering(4, 1), span=4)
    assert errors["ratio"] == pytest.approx(1)


def test_the_ends_are_exact(learned):
    a, b = wandering(2, 3)[:, :, [0, 4]].unbind(2)
    assert torch.equal(learned(a, b, 0.0), a)
    assert torch.allclose(learned(a, b, 1.0), b, atol=1e-7)


def test_the_same_seed_learns_the_same():
    one, two = (fit_between(wandering(8, 0), span=4, steps=3) for _ in range(2))
    assert all(torch.equal(p, q) for p, q in zip(one.parameters(), two.parameters(), strict=True))


def test_it_survives_the_disk(learned, tmp_path):
    learned.save(tmp_path / "between.safetensors")
    again = Between.load(tmp_path / "between.safetensors")
    a, b = wandering(2, 3)[:, :, [0, 4]].unbind(2)
    assert torch.equal(again(a, b, 0.3), learned(a, b, 0.3))


def test_a_path_passes_through_its_keys(learned):
    keys = list(wandering(2, 3)[:, :, [0, 4, 8]].unbind(2))
    path = through(learned, keys, [0, 0.5, 1, 2])
    assert torch.equal(path[0], keys[0])
    assert torch.equal(path[2], keys[1])
    assert torch.allclose(path[3], keys[2], atol=1e-7)


@pytest.mark.parametrize(
    ("sequences", "span", "said"),
    [
        (torch.zeros(2, 1, 4, 8, 8), 4, "span"),
        (torch.full((2, 1, 4, 8, 8), float("nan")), 2, "NaN"),
        (torch.zeros(2, 4, 8, 8), 2, "shape"),
        (torch.zeros(0, 1, 4, 8, 8), 2, r"shape \(0, 1, 4, 8, 8\)"),
        (torch.zeros(2, 1, 4, 8, 8), 2.5, "span must be from 2 .* got 2.5"),
        ([torch.zeros(1, 4, 8, 8)], 2, "got a list"),
    ],
)
def test_bad_sequences_are_told(sequences, span, said):
    with pytest.raises(ValueError, match=said):
        fit_between(sequences, span=span, steps=1)


def test_bad_positions_and_frames_are_told(learned):
    a = torch.zeros(1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"1\.5"):
        learned(a, a, 1.5)
    with pytest.raises(ValueError, match="frames"):
        learned(a, torch.zeros(1, 2, 8, 8), 0.5)
    with pytest.raises(ValueError, match=r"one for each of 1 frames, got shape \(3,\)"):
        learned(a, a, torch.zeros(3))
    for keys, positions in (([a], [0.0]), ([a, a], []), ([a, a], [float("nan")])):
        with pytest.raises(ValueError, match="two keys"):
            through(learned, keys, positions)


@pytest.mark.parametrize("options", [{"steps": 0}, {"batch_size": 0}, {"width": 12}, {"blocks": 0}])
def test_sizes_that_teach_nothing_are_told(options):
    with pytest.raises(ValueError, match="at least 1"):
        fit_between(torch.zeros(2, 1, 4, 8, 8), span=2, **options)
