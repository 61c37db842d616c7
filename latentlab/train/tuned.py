"""A frozen network with an adapter that learns: which layers change, what they begin as, and how it is asked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor, nn

from latentlab.data.moving.captions import vocabulary
from latentlab.generator.adapted import on
from latentlab.generator.adapter import Adapter
from latentlab.generator.condition import Condition
from latentlab.generator.denoiser import Preconditioned
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.update import WHOLE, LowRank, Update, Whole, own_parameters, takes_low_rank
from latentlab.names import AdapterKind, AdapterTarget
from latentlab.shapes import Latents

ATTENTION = ("query", "key_value", "out", "to_q", "to_k", "to_v", "to_out.0")  # how layers of attention are called


@dataclass(frozen=True)
class Updates:
    """What an adapter changes.

    Args:
        kind: "lora" (low-rank), "full" (differences of all weights), "word" (the trigger's embedding alone).
        trigger: a new word that learns, too.
        rank, alpha: of low-rank ones; alpha None is the rank.
        target: "all", every matrix and convolution, or "attention".
        seed: of what they begin as.
    """

    kind: AdapterKind = "lora"
    trigger: str | None = None
    rank: int = 8
    alpha: float | None = None
    target: AdapterTarget = "all"
    seed: int = 0


class Tuned(nn.Module):
    """A frozen network with an adapter that learns; only the adapter is its own.

    A is drawn as peft draws it (uniform, He et al. 2015, with a = sqrt(5)) and B is zero: it begins as the base.

    Args:
        generator: the base, whose denoiser is adapted.
        config: which layers, and of which rank.
        captions: what clips may be shown under, by number.

    Raises:
        ValueError: a rank above what every layer can hold.
    """

    def __init__(self, generator: Generator, config: Updates, captions: Sequence[str]) -> None:
        super().__init__()
        self.config = config
        network, role = denoiser_of(generator)
        before = f"{role}." if isinstance(generator, Coded) else ""
        layers = dict(_targets(network, config))
        self.places = [before + name for name in layers]
        drawn = torch.Generator().manual_seed(config.seed)
        self.first, self.second = nn.ParameterList(), nn.ParameterList()
        for layer in layers.values():
            weight, bias = layer.get_parameter("weight"), own_parameters(layer).get("bias")
            if config.kind == "full":
                self.first.append(torch.zeros(weight.shape))
                self.second.append(torch.zeros(0 if bias is None else len(bias)))
                continue
            width, *inside = weight.shape
            bound = 1 / math.sqrt(math.prod(inside))
            down = torch.empty(config.rank, *inside).uniform_(-bound, bound, generator=drawn)
            self.first.append(down)
            self.second.append(torch.zeros(width, config.rank, *[1] * (len(inside) - 1)))
        self.word: nn.Parameter | None = None
        if config.trigger is not None and isinstance(generator, NativeGenerator):
            known = generator.clip_model.towers.token_embedding.weight[: len(generator.clip_model.config.vocabulary)]
            # among the words, as long as they are: what is far from all of them says nothing to the tower
            row = torch.randn(known.shape[1], generator=drawn).to(known) * known.std()
            self.word = nn.Parameter(row.clone())
        self.base = _Base(generator, list(layers.values()), _Told(self.word, config.trigger, generator, captions))

    def updates(self) -> list[Update]:
        """Of its layers, in order."""
        if self.config.kind == "full":
            pairs = zip(self.first, self.second, strict=True)
            return [Whole(weight, bias if len(bias) else None) for weight, bias in pairs]
        alpha = self.config.rank if self.config.alpha is None else self.config.alpha
        return [LowRank(down, up, float(alpha)) for down, up in zip(self.first, self.second, strict=True)]

    def forward(self, y: Latents, s: Tensor, said: Int[Tensor, " batch"], strength: float = 1.0) -> Latents:
        """Velocities of states, each at a flow time and under the caption of a number, with the adapter on."""
        layers = zip(self.base.layers, self.updates(), strict=True)
        with on([(layer, update, strength) for layer, update in layers]):
            return velocities(self.base.generator, y, s, self.base.told(said, self.word))

    @torch.no_grad()
    def adapter(self, about: dict, *, name: str) -> Adapter:
        """What was learned, on the CPU."""
        updates = {place: _kept(update) for place, update in zip(self.places, self.updates(), strict=True)}
        words = {} if self.word is None else {str(self.config.trigger): self.word.detach().cpu().clone()}
        return Adapter(updates, words, about, name)


@dataclass(frozen=True)
class _Base:
    """What an adapter is learned on: neither copied nor saved with it."""

    generator: Generator
    layers: list[nn.Module]
    told: _Told

    def __deepcopy__(self, memo: dict) -> _Base:
        return self


class _Told:
    """Conditions of captions by number; where a word is learned, the text tower is asked anew at each step."""

    def __init__(
        self, word: nn.Parameter | None, trigger: str | None, generator: Generator, captions: Sequence[str]
    ) -> None:
        self.known: list[Condition] = []
        if word is not None and trigger is not None and isinstance(generator, NativeGenerator):
            self.clip_model, self.device = generator.clip_model.knowing({trigger: word.detach()}), generator.device
            self.number, self.numbers = self.clip_model.tokenize.number[trigger], self.clip_model.tokenize(captions)
        else:
            self.known = [generator.condition(caption) for caption in captions]

    def __call__(self, rows: Int[Tensor, " batch"], word: Tensor | None = None) -> Condition:
        if self.known or word is None:
            return Condition.cat([self.known[row] for row in rows.tolist()])
        with _learned(self.clip_model.towers.token_embedding, self.number, word):
            return Condition(*self.clip_model.token_states(self.numbers[rows.cpu()].to(self.device)))


@contextmanager
def _learned(embedding: nn.Module, number: int, row: Tensor) -> Iterator[None]:
    """The embedding, with a row that learns in the place of one."""

    def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> Tensor:
        del module
        return torch.where((inputs[0] == number)[..., None], row, output)

    handle = embedding.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def velocities(generator: Generator, y: Latents, s: Tensor, condition: Condition) -> Latents:
    """Velocities of states each at a flow time of its own; networks of others take one at a time."""
    if isinstance(generator, NativeGenerator):
        return generator.denoiser(y, s, condition.tokens, condition.mask)
    told = condition.to(generator.device, generator.dtype)
    return torch.cat([generator.predict(y[i : i + 1], float(s[i]), told[i : i + 1]).float() for i in range(len(y))])


def noised(clean: Latents, rng: torch.Generator, mean: float, spread: float) -> tuple[Latents, Latents, Tensor]:
    """States, velocities and flow times of clean latents: `y = (1 - s) clean + s noise`, `v = noise - clean`."""
    noise = torch.randn(clean.shape, generator=rng, device=clean.device)
    normal = torch.randn(len(clean), generator=rng, device=clean.device)
    s = torch.sigmoid(mean + spread * normal)
    at = s[:, None, None, None, None]
    return (1 - at) * clean + at * noise, noise - clean, s


def error(network: nn.Module, v: Latents, target: Latents, s: Tensor) -> Tensor:
    """The error that the network was trained by; that of pipelines is the plain one."""
    if isinstance(network, Preconditioned):
        return network.error(v.float(), target, s)
    return (v.float() - target).square().mean()


def denoiser_of(generator: Generator) -> tuple[nn.Module, str]:
    *_, role = generator.adaptable
    return generator.adaptable[role], role


def _targets(network: nn.Module, config: Updates) -> Iterator[tuple[str, nn.Module]]:
    """Layers that learn.

    Raises:
        ValueError: a rank above what every layer can hold.
    """
    if config.kind == "word":
        return
    widest = 0
    for name, layer in network.named_modules():
        learns = isinstance(layer, WHOLE) and own_parameters(layer) if config.kind == "full" else takes_low_rank(layer)
        if not learns:
            continue
        if config.target == "attention" and not name.endswith(ATTENTION):
            continue
        weight = layer.get_parameter("weight")
        widest = max(widest, min(len(weight), weight[0].numel()))
        yield name, layer
    if config.kind == "lora" and not 0 < config.rank <= widest:
        raise ValueError(f"a rank lies between 1 and {widest}, the width of the widest layer, got {config.rank}")


def _kept(update: Update) -> Update:
    if isinstance(update, LowRank):
        return replace(update, down=update.down.detach().cpu().clone(), up=update.up.detach().cpu().clone())
    bias = None if update.bias is None else update.bias.detach().cpu().clone()
    return Whole(None if update.weight is None else update.weight.detach().cpu().clone(), bias)


def knows_moving_shapes(generator: Generator) -> bool:
    """Whether every word of that world's captions is one of the model's."""
    return isinstance(generator, NativeGenerator) and set(vocabulary()) <= set(generator.clip_model.config.vocabulary)
