"""A model from elsewhere joins by one small class: that of the README and docs/models.md, and what it then can do."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import latentlab
from latentlab.study.roundtrip import roundtrip

ROOT = Path(__file__).parents[2]


def example(page: str) -> str:
    """The block of a page that shows a model of one's own."""
    blocks = (ROOT / page).read_text(encoding="utf-8").split("```python")[1:]
    (block,) = (part.split("```")[0] for part in blocks if "class Mine" in part)
    return block


class Pixels(nn.Module):
    """Two by two pixels as channels, turned."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0)))[0])

    def encode(self, video: Tensor) -> Tensor:
        flat = nn.functional.pixel_unshuffle(video.transpose(1, 2), 2).transpose(1, 2)
        return torch.einsum("dc,bcfhw->bdfhw", self.turn, flat)

    def decode(self, z: Tensor) -> Tensor:
        flat = torch.einsum("dc,bdfhw->bcfhw", self.turn, z)
        return nn.functional.pixel_shuffle(flat.transpose(1, 2), 2).transpose(1, 2)


class Words(nn.Module):
    """A network that also reads captions."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(12, 12, 3, padding=1)

    def read(self, captions) -> Tensor:
        return torch.tensor([[[float(len(c))]] for c in captions])

    def forward(self, y: Tensor, s: float, tokens: Tensor) -> Tensor:
        return self.conv(y) * s + 0.01 * tokens[..., None, None]


@pytest.fixture
def mine() -> latentlab.Generator:
    names = {}
    exec(example("README.md"), names)
    torch.manual_seed(0)
    return names["Mine"](Pixels(), Words())


@torch.no_grad()
def test_it_inverts_samples_and_makes_clips(mine):
    video = torch.rand(2, 3, 4, 16, 16) * 2 - 1
    trip = roundtrip(mine, video, "a star", method="leapfrog", num_steps=10)
    assert trip.latents_again == "bit for bit"
    assert trip.latent_error < 1e-5
    assert trip.total.psnr > 80
    assert mine.generate(["a", "b"], num_steps=2).shape == (2, 3, 4, 16, 16)


@torch.no_grad()
def test_guidance_and_the_spaces_come_with_it(mine):
    noise = mine.noise(1)
    plain, guided = (mine.sample(noise, "a star", num_steps=2, guidance=g) for g in (1.0, 5.0))
    assert (plain - guided).abs().max() > 1e-3
    space = latentlab.NoiseSpace(mine, num_steps=2, method="midpoint")
    assert space.encode(torch.zeros(1, 3, 4, 16, 16)).shape == (1, 12 * 4 * 8 * 8)


def test_latents_that_carry_gradients_are_inverted_without_a_warning(mine):
    latents = mine.encode(torch.zeros(1, 3, 4, 16, 16))
    assert latents.requires_grad
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not mine.invert(latents, "a star", num_steps=2).noise.requires_grad


def test_it_may_be_compiled(mine):
    noise, mark, compiled = mine.noise(1), mine.fingerprint(), []
    plain = mine.sample(noise, "a star", num_steps=2, guidance=2.0)

    def backend(graph, example):
        compiled.append(graph)
        return graph.forward

    mine.compile(backend=backend)
    torch.testing.assert_close(mine.sample(noise, "a star", num_steps=2, guidance=2.0), plain)
    known = len(compiled)
    assert known > 0
    mine.sample(noise, "a red star", num_steps=3, guidance=3.0)
    assert len(compiled) == known  # other captions, levels and guidance are no other network
    assert mine.fingerprint() == mark


def test_its_dtype_is_that_of_its_last_network(mine):
    assert mine.dtype == torch.float32
    mine.net.to(torch.bfloat16)
    assert mine.dtype == torch.bfloat16


def test_what_is_missing_is_named():
    class Half(latentlab.Generator):
        latent_shape = (1, 1, 1, 1)

    with pytest.raises(TypeError, match=r"abstract methods? .*condition.*predict"):
        Half()


def test_both_pages_show_it_in_twenty_lines():
    assert len([line for line in example("README.md").splitlines() if line.strip()]) <= 20
    assert example("docs/models.md") == example("README.md")
