"""A model from elsewhere joins by one small class: the example of docs/models.md, and what it then can do."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import latentlab
from latentlab.generator.condition import Condition
from latentlab.generator.generator import GeneratorConfig
from latentlab.study.roundtrip import roundtrip


class Mine(latentlab.Generator):
    """A video model of one's own: `vae` codes clips, `net` predicts noise - clean at (1 - s) clean + s noise."""

    latent_shape = (12, 4, 8, 8)

    def __init__(self, vae: nn.Module, net: nn.Module) -> None:
        self.vae, self.net, self.config = vae, net, GeneratorConfig(num_frames=4, height=16, width=16)

    @property
    def networks(self):
        return self.vae, self.net

    def encode(self, video, *, batch_size=16):
        return self.vae(video)

    def decode(self, latents, *, batch_size=16):
        return self.vae.inverse(latents)

    def condition(self, captions):
        captions = [captions] if isinstance(captions, str) else captions
        length = torch.tensor([[[float(len(c))]] for c in captions])
        return Condition(length, torch.ones(len(captions), 1, dtype=torch.bool))

    def predict(self, y, s, condition):
        return self.net(y) * s + 0.01 * condition.tokens[..., None, None]


class Pixels(nn.Module):
    """Two by two pixels as channels, turned."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0)))[0])

    def forward(self, video: Tensor) -> Tensor:
        flat = nn.functional.pixel_unshuffle(video.transpose(1, 2), 2).transpose(1, 2)
        return torch.einsum("dc,bcfhw->bdfhw", self.turn, flat)

    def inverse(self, z: Tensor) -> Tensor:
        flat = torch.einsum("dc,bdfhw->bcfhw", self.turn, z)
        return nn.functional.pixel_shuffle(flat.transpose(1, 2), 2).transpose(1, 2)


@pytest.fixture
def mine() -> Mine:
    torch.manual_seed(0)
    net = nn.Conv3d(12, 12, 3, padding=1)
    return Mine(Pixels(), net)


@torch.no_grad()
def test_it_inverts_samples_and_makes_clips(mine):
    video = torch.rand(2, 3, 4, 16, 16) * 2 - 1
    trip = roundtrip(mine, video, "a star", method="leapfrog", num_steps=10)
    assert trip.verdict == "exact"
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


def test_it_may_be_compiled(mine):
    noise, mark, compiled = mine.noise(1), mine.fingerprint(), []
    plain = mine.sample(noise, "a star", num_steps=2, guidance=2.0)

    def backend(graph, example):
        compiled.append(graph)
        return graph.forward

    mine.compile(backend=backend)
    torch.testing.assert_close(mine.sample(noise, "a star", num_steps=2, guidance=2.0), plain)
    assert len(compiled) == 1
    mine.sample(noise, "a red star", num_steps=3, guidance=3.0)
    assert len(compiled) == 1  # other captions, levels and guidance are no other network
    assert mine.fingerprint() == mark


def test_what_is_missing_is_named():
    class Half(latentlab.Generator):
        latent_shape = (1, 1, 1, 1)

    with pytest.raises(TypeError, match=r"abstract methods? .*condition.*predict"):
        Half()


def test_the_page_shows_this_very_class():
    page = Path(__file__).parents[2] / "docs" / "models.md"
    assert inspect.getsource(Mine) in page.read_text(encoding="utf-8")


class Words(nn.Module):
    """A network that also reads captions, as the one in the README."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(12, 12, 3, padding=1)

    def read(self, captions) -> Tensor:
        return torch.tensor([[[float(len(c))]] for c in captions])

    def forward(self, y: Tensor, s: float, tokens: Tensor) -> Tensor:
        return self.conv(y) * s + 0.01 * tokens[..., None, None]


@torch.no_grad()
def test_the_class_of_the_readme_works_and_has_twenty_lines():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = (part.split("```")[0] for part in readme.split("```python")[1:] if "class Mine" in part)
    assert len([line for line in block.splitlines() if line.strip()]) <= 20
    names = {}
    exec(block, names)
    vae = Pixels()
    vae.encode, vae.decode = vae.forward, vae.inverse
    torch.manual_seed(0)
    model = names["Mine"](vae, Words())
    trip = roundtrip(model, torch.rand(1, 3, 4, 16, 16) * 2 - 1, "a star", method="leapfrog", num_steps=5, guidance=2.0)
    assert trip.verdict == "exact"
    assert trip.total.psnr > 80
    assert model.generate("a star", num_steps=2).shape == (1, 3, 4, 16, 16)
