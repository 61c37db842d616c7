"""Trains an adapter on a few pictures of a look: low-rank, of all weights, or a new word alone.

What the examples show is learned under their captions behind a new word, the trigger. Beside it the network is held to
what it said before, on clips that it drew itself under captions without the trigger (prior preservation, Ruiz et al.
2023): it is then the base wherever nobody says the word, and clips that move go on moving.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor, nn

from latentlab.checks import clear_errors
from latentlab.data.moving.captions import WORDINGS, vocabulary
from latentlab.data.moving.captions import caption as moving_caption
from latentlab.data.moving.factors import FactorSampler
from latentlab.generator.adapted import on
from latentlab.generator.adapter import Adapter, base_of
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.pipelines.coded import Coded
from latentlab.generator.update import LINEAR, WHOLE, LowRank, Update, Whole
from latentlab.shapes import Latents
from latentlab.tensors import read_tensors, write_tensors
from latentlab.train.loop import LoopConfig, Tracker, device_for_training, is_main_process, train
from latentlab.train.pictures import Examples
from latentlab.weights import fingerprint

ATTENTION = ("query", "key_value", "out", "to_q", "to_k", "to_v", "to_out.0")  # how layers of attention are called
Kind = Literal["lora", "full", "word"]


@dataclass(frozen=True)
class AdapterTraining:
    """Settings of one run.

    Args:
        kind: "lora" (low-rank), "full" (differences of all weights), "word" (textual inversion: the trigger alone).
        trigger: the new word; None learns the look under the captions as they are.
        rank, alpha: of the updates; alpha None is the rank.
        target: "all", every matrix and convolution; "attention", those of attention, which cannot shift colours here.
        prior: weight of being held to what the base says without the trigger; 0 leaves it out.
        prior_clips: how many clips the base draws for it, once, before training.
        caption_dropout: share of examples shown under the trigger alone, and of the base's clips under no caption.
        level_mean, level_spread: flow times are drawn as sigmoid(N(mean, spread^2)) (Esser et al. 2024, eq. 19).
        loop: steps, rates, seed.
    """

    kind: Kind = "lora"
    trigger: str | None = None
    rank: int = 8
    alpha: float | None = None
    target: Literal["all", "attention"] = "all"
    prior: float = 1.0
    prior_clips: int = 48
    caption_dropout: float = 0.1
    level_mean: float = 0.6
    level_spread: float = 1.2
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=400, batch_size=8, learning_rate=1e-3, warmup=20, weight_decay=0.0, ema=0.99, workers=0
        )
    )


@clear_errors
def train_adapter(
    generator: Generator,
    data: Examples,
    out: Path,
    config: AdapterTraining | None = None,
    *,
    tracker: Tracker | None = None,
) -> Adapter:
    """Trains on the latents of the examples and writes `adapter.safetensors` to `out`; the generator stays as it is.

    Args:
        generator: the base, on the device to train on; its denoiser, of a pipeline the first, is what is adapted.
        data: see `examples`.
        out: folder of the run; a run found there is resumed.
        config: settings.
        tracker: called with `(figures, step)`.

    Raises:
        ValueError: captions with words that the model does not know, a trigger that it knows already, a rank above the
            width of every layer, a model that learns no words.
    """
    config = config or AdapterTraining()
    where = device_for_training(str(generator.device))
    network, role = _denoiser(generator)
    # Under grad every weight but the adapter's is frozen, from the first step on: attention rounds otherwise then.
    for part in generator.adaptable.values():
        part.eval().requires_grad_(False)
    said = _captions(generator, config, data)
    with torch.no_grad():
        clean = generator.encode(data.video).cpu()
        prior, prior_said = _prior(generator, config, out, data)
    captions = [*said, config.trigger or "", *prior_said, ""]
    model = Tuned(generator, network, config, captions)

    def make_batch(step: int) -> dict[str, Tensor]:
        rng = np.random.default_rng([config.loop.seed, step])
        picks = rng.integers(len(clean), size=config.loop.batch_size)
        dropped = rng.random(len(picks)) < config.caption_dropout
        batch = {"latents": clean[picks], "said": torch.from_numpy(np.where(dropped, len(said), picks))}
        if config.prior:
            rows = rng.integers(len(prior), size=max(1, config.loop.batch_size // 2))
            dropped = rng.random(len(rows)) < config.caption_dropout
            numbers = np.where(dropped, len(captions) - 1, len(said) + 1 + rows)
            batch |= {"prior": prior[rows], "prior_said": torch.from_numpy(numbers)}
        return batch

    def loss(net: nn.Module, batch: dict[str, Tensor], rng: torch.Generator) -> tuple[Tensor, dict[str, Tensor]]:
        y, target, s = _noised(batch["latents"], config, rng)
        look = _error(network, net(y, s, batch["said"]), target, s)
        if not config.prior:
            return look, {}
        y, _, s = _noised(batch["prior"], config, rng)
        with torch.no_grad():
            before = velocities(generator, y, s, model.base.told(batch["prior_said"], model.word))
        held = _error(network, net(y, s, batch["prior_said"]), before, s)
        return look + config.prior * held, {"look": look, "prior": held}

    settings = {k: v for k, v in asdict(config).items() if k != "loop"}
    about = {**settings, "data": data.identity, "base": fingerprint(network)[:16]}
    trained = train(model, make_batch, loss, config.loop, out, device=where, about=about, tracker=tracker)
    header = {**settings, "base": {role: base_of(network)}, "captions": sorted(set(said))[:50]}
    adapter = trained.adapter(header, name=config.trigger or "adapter")
    if is_main_process():
        adapter.save(out / "adapter.safetensors")
    return adapter


class Tuned(nn.Module):
    """A frozen network with an adapter that learns; only the adapter is its own.

    A is drawn as peft draws it (uniform, He et al. 2015, with a = sqrt(5)) and B is zero: it begins as the base.

    Args:
        generator: the base.
        network: its denoiser.
        config: settings.
        captions: what clips may be shown under, by number.
    """

    def __init__(
        self, generator: Generator, network: nn.Module, config: AdapterTraining, captions: Sequence[str]
    ) -> None:
        super().__init__()
        self.config = config
        before = f"{_denoiser(generator)[1]}." if isinstance(generator, Coded) else ""
        layers = dict(_targets(network, config))
        self.places = [before + name for name in layers]
        drawn = torch.Generator().manual_seed(config.loop.seed)
        self.first, self.second = nn.ParameterList(), nn.ParameterList()
        for layer in layers.values():
            weight: Tensor = layer.weight  # type: ignore[assignment]
            bias: Tensor | None = getattr(layer, "bias", None)
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
            known = generator.clip.towers.token_embedding.weight[: len(generator.clip.config.vocabulary)]
            # among the words, as long as they are: what is far from all of them says nothing to the tower
            row = torch.randn(known.shape[1], generator=drawn).to(known) * known.std()
            self.word = nn.Parameter(row.clone())
        self.base = _Base(generator, list(layers.values()), _Told(self.word, config.trigger, generator, captions))

    def updates(self) -> list[Update]:
        if self.config.kind == "full":
            pairs = zip(self.first, self.second, strict=True)
            return [Whole(weight, bias if len(bias) else None) for weight, bias in pairs]
        alpha = self.config.rank if self.config.alpha is None else self.config.alpha
        return [LowRank(down, up, float(alpha)) for down, up in zip(self.first, self.second, strict=True)]

    def forward(self, y: Latents, s: Tensor, said: Int[Tensor, " batch"]) -> Latents:
        layers = zip(self.base.layers, self.updates(), strict=True)
        with on([(layer, update, 1.0) for layer, update in layers]):
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
            self.clip, self.device = generator.clip.knowing({trigger: word.detach()}), generator.device
            self.number, self.numbers = self.clip.tokenize.number[trigger], self.clip.tokenize(captions)
        else:
            self.known = [generator.condition(caption) for caption in captions]

    def __call__(self, rows: Int[Tensor, " batch"], word: Tensor | None = None) -> Condition:
        if self.known or word is None:
            return Condition.cat([self.known[row] for row in rows.tolist()])
        with _learned(self.clip.towers.token_embedding, self.number, word):
            return Condition(*self.clip.token_states(self.numbers[rows.cpu()].to(self.device)))


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


def _noised(clean: Latents, config: AdapterTraining, rng: torch.Generator) -> tuple[Latents, Latents, Tensor]:
    """States, velocities and flow times of clean latents: `y = (1 - s) clean + s noise`, `v = noise - clean`."""
    noise = torch.randn(clean.shape, generator=rng, device=clean.device)
    normal = torch.randn(len(clean), generator=rng, device=clean.device)
    s = torch.sigmoid(config.level_mean + config.level_spread * normal)
    at = s[:, None, None, None, None]
    return (1 - at) * clean + at * noise, noise - clean, s


def _error(network: nn.Module, v: Latents, target: Latents, s: Tensor) -> Tensor:
    """The error that the network was trained by; that of pipelines is the plain one."""
    own: Callable | None = getattr(network, "error", None)
    return (v.float() - target).square().mean() if own is None else own(v.float(), target, s)


def _denoiser(generator: Generator) -> tuple[nn.Module, str]:
    *_, role = generator.adaptable
    return generator.adaptable[role], role


def _targets(network: nn.Module, config: AdapterTraining) -> Iterator[tuple[str, nn.Module]]:
    """Layers that learn.

    Raises:
        ValueError: a rank above what every layer can hold.
    """
    if config.kind == "word":
        return
    kinds = WHOLE if config.kind == "full" else LINEAR
    widest = 0
    for name, layer in network.named_modules():
        if not isinstance(layer, kinds) or getattr(layer, "groups", 1) != 1:
            continue
        if config.target == "attention" and not name.endswith(ATTENTION):
            continue
        widest = max(widest, min(len(layer.weight), layer.weight[0].numel()))  # type: ignore[arg-type]
        yield name, layer
    if config.kind == "lora" and not 0 < config.rank <= widest:
        raise ValueError(f"a rank lies between 1 and {widest}, the width of the widest layer, got {config.rank}")


def _captions(generator: Generator, config: AdapterTraining, data: Examples) -> list[str]:
    """Captions of the examples behind the trigger, each held against the words that the model knows."""
    trigger = config.trigger
    if trigger is None:
        if config.kind == "word":
            raise ValueError("kind 'word' learns a new word; say which: trigger=\"ink\"")
        said = list(data.captions)
    else:
        said = [f"{trigger} , {caption}" if caption else trigger for caption in data.captions]
    knowing = generator
    if trigger is not None and isinstance(generator, NativeGenerator):
        width = generator.clip.config.width
        knowing = generator.knowing({trigger: torch.zeros(width)})
    elif config.kind == "word":
        raise ValueError(
            f"{type(generator).__name__} learns no new words; kind 'lora' takes the trigger as it reads it"
        )
    with torch.no_grad():
        for caption in sorted(set(said)):  # a word that the model does not know is told before the work
            knowing.condition(caption)
    return said


def _prior(generator: Generator, config: AdapterTraining, out: Path, data: Examples) -> tuple[Latents, list[str]]:
    """Latents that the base draws under captions without the trigger, once, and the captions.

    The shipped model is asked for all that it was trained on, motion too; another for what the examples show.
    """
    if not config.prior or config.prior_clips < 1:
        return torch.zeros(0), []
    if isinstance(generator, NativeGenerator) and set(vocabulary()) <= set(generator.clip.config.vocabulary):
        world = FactorSampler(config.loop.seed)
        said = [moving_caption(world(i), i % len(WORDINGS)) for i in range(config.prior_clips)]
    else:
        said = [data.captions[i % len(data.captions)] for i in range(config.prior_clips)]
    file = out / f"prior-{generator.fingerprint()[:12]}-{config.prior_clips}-{config.loop.seed}.safetensors"
    if not file.exists() and is_main_process():
        noise = generator.noise(len(said), seed=config.loop.seed)
        drawn = generator.sample(
            noise, said, num_steps=25, method="ddim", guidance=generator.config.guidance, progress="prior clips"
        )
        write_tensors(file, "prior", {"captions": said}, {"latents": drawn.cpu()})
    tensors, header = read_tensors(file, "prior", "clips of the base")
    return tensors["latents"], list(header["captions"])


def _kept(update: Update) -> Update:
    if isinstance(update, LowRank):
        return replace(update, down=update.down.detach().cpu().clone(), up=update.up.detach().cpu().clone())
    bias = None if update.bias is None else update.bias.detach().cpu().clone()
    return Whole(None if update.weight is None else update.weight.detach().cpu().clone(), bias)
