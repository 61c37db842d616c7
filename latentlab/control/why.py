"""Why a caption was not obeyed: for each word, how far it came on its way from the text to the clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from latentlab.checks import Count, Seed, clear_errors
from latentlab.control.effect import noise_of
from latentlab.control.places import places, words_in
from latentlab.data.moving import captions as moving
from latentlab.data.moving.factors import NAMES, SHAPES
from latentlab.data.moving.measure import measure
from latentlab.generator.condition import Condition
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.shapes import Video, in_a_line
from latentlab.spaces.attention import watched

Read = Callable[[Video, Sequence[str]], int]  # which of several captions fits a clip best
GROUPS = (SHAPES, moving.HUES, moving.DIRECTIONS, ("small", "large"), ("dim", "bright"), ("slowly", "quickly"))
LEVELS = (0.98, 0.9, 0.7, 0.4)  # backgrounds are decided at the first, shapes at the last
LITTLE = 0.1  # of what the other words of the caption do

NEXT = {
    "obeyed": "",
    "not encoded": "its embedding is that of another word: choose a word that the text tower tells apart, or train it",
    "unseen": "the training captions never have it: train an adapter on clips that show it",
    "not used": "the denoiser does not act on it: more guidance, (word:2), or an adapter on clips that show it",
    "overruled": "another word leads away from it: leave that one out, or weigh this one more",
    "not decoded": "the latents have it and the autoencoder loses it: refine its decoder",
    "misread": "the network did it, and the reader says otherwise: look at the clip, or use another reader",
    "drawn otherwise": "it acts, and not enough: more guidance, (word:1.5), or another seed",
}


@dataclass(frozen=True)
class Word:
    """How far a word came.

    Attributes:
        word, other: the word, and the one that it was held against: the furthest of its kind, or, where it was not
            obeyed, the one of its kind that the denoiser tells apart from it least.
        read: what the clip shows of the word's kind, by the reader; "" where that is between two words, "nothing" where
            it sees no object.
        encoded: distance of the text tower's tokens under the two, in units of the median word.
        attended: attention to its tokens over what an even share were; NaN without cross-attention.
        used: distance of the velocities under the two, in units of the median word.
        decided: flow time at which half of that distance has come, from noise down; NaN where there is none.
        overruled: the word that leads away from it most, and the cosine; "" where none does.
        seen: training captions that have it, of those given; None where none were.
        decoded: share of what swapping the word changes in latents that the autoencoder gives back; NaN if not asked.
        verdict, next: the first stage that failed, and what to do.
    """

    word: str
    other: str
    read: str
    encoded: float
    attended: float
    used: float
    decided: float
    overruled: str
    cosine: float
    seen: int | None
    decoded: float
    verdict: str
    next: str


@dataclass(frozen=True)
class Why:
    """Words of a caption and the clip that they were read in.

    Attributes:
        caption: what was asked for.
        words: those that have another value.
        video: the clip.
    """

    caption: str
    words: tuple[Word, ...]
    video: Video

    __repr__ = in_a_line

    def numbers(self) -> dict[str, Any]:
        """As a record holds it."""
        return {"caption": self.caption, "words": [asdict(word) for word in self.words]}

    def lines(self) -> list[str]:
        """One line a word."""
        return [
            f"{w.word:10} {w.verdict:15} read {w.read or '?':10} encoded {w.encoded:5.2f}  used {w.used:5.2f}  "
            f"decided {w.decided:4.2f}  attended {w.attended:4.2f}" + (f"\n{'':11}{w.next}" if w.next else "")
            for w in self.words
        ]


@torch.no_grad()
@clear_errors
def why(
    generator: Generator,
    caption: str,
    clip: Video | None = None,
    *,
    alternatives: Mapping[str, str] | None = None,
    read: Read | None = None,
    training: Sequence[str] | None = None,
    num_steps: Count = 16,
    seed: Seed = 0,
) -> Why:
    """Follows each word from the text to the clip, and says at which stage it was lost, and what to do.

    Each word is held against another of its kind, one that was not obeyed against all of them, since it may have been
    taken for any. Was it encoded: do the text tower's tokens differ? Used: does the velocity? Overruled: does another
    word's own part of the velocity lead away from it? Decoded: do pixels differ where latents do? Read: which of them
    does the clip show? What a stage did is told in units of the median word, for no number of one word says much by
    itself. The verdict is the first stage that failed.

    Args:
        generator: any that reads captions.
        caption: what was asked for.
        clip: what came of it; None draws one.
        alternatives: for each word that matters, another of its kind; None knows those of moving shapes.
        read: which of two captions a clip shows; None is the closed-form reader of moving shapes for their words, and
            the model's own CLIP for others.
        training: captions of the training set, to count words in.
        num_steps: of the solver.
        seed: of the noise.

    Raises:
        ValueError: no word of the caption has an alternative.

    >>> import latentlab as ll
    >>> found = why(ll.load(device="cpu"), "a red star", num_steps=2)
    >>> [word.word for word in found.words]
    ['red', 'star']
    """
    said, written = words_in(caption), caption.replace(",", " , ").split()
    others = (
        _others(said) if alternatives is None else {i: alternatives[w] for i, w in enumerate(said) if w in alternatives}
    )
    if not others:
        raise ValueError(f"no word of {caption!r} has another to be held against; give alternatives={{'red': 'blue'}}")
    swapped = {i: _with(written, i, other) for i, other in others.items()}
    told = generator.condition(caption)
    conditions = {i: generator.condition(text) for i, text in swapped.items()}
    options: dict[str, Any] = {"num_steps": num_steps, "method": "ddim", "guidance": generator.config.guidance}
    noise = generator.noise(1, seed=seed)
    latents = generator.sample(noise, told, **options) if clip is None else generator.encode(clip)
    video = (generator.decode(latents) if clip is None else clip).cpu()

    encoded = {i: float((c.tokens - told.tokens).norm()) for i, c in conditions.items()}
    deltas = {i: _deltas(generator, latents, told, c, seed) for i, c in conditions.items()}
    used = {i: float(torch.stack([d.norm() for d in deltas[i]]).mean()) for i in others}
    attended = _attended(generator, latents, told, caption, seed)
    found = []
    for i, other in others.items():
        shows = _read(generator, read, video, said, i, other, [caption, swapped[i]])
        obeyed = shows in ("", said[i])
        if not obeyed and alternatives is None:  # which of its kind it was taken for is not known beforehand
            other, encoded[i], used[i] = _nearest(generator, latents, told, said, i, seed)
        name, cosine = _overruling(said, deltas, i)
        seen = None if training is None else sum(said[i].lower() in words_in(text.lower()) for text in training)
        relative = {"encoded": _share(encoded, i), "used": _share(used, i)}
        decoded, instead = float("nan"), conditions[i]
        if not obeyed:
            instead = generator.condition(_with(said, i, shows)) if shows in _kind(said[i]) else instead
            decoded = _decoded(generator, noise, told, instead, options)
        verdict = _verdict(obeyed, relative, seen, cosine, decoded)
        if verdict == "drawn otherwise" and _own_opinion(generator, latents, told, instead, seed):
            verdict = "misread"
        found.append(
            Word(
                word=said[i], other=other, read=shows, attended=attended.get(i, float("nan")),
                decided=_decided([float(d.norm()) for d in deltas[i]]), overruled=name if cosine < -0.2 else "",
                cosine=cosine, seen=seen, decoded=decoded, verdict=verdict, next=NEXT[verdict], **relative,
            )
        )  # fmt: skip
    return Why(caption, tuple(found), video)


def _kind(word: str) -> tuple[str, ...]:
    """Words of moving shapes that can stand in a word's place, itself among them."""
    return next((group for group in GROUPS if word.lower() in group), ())


def _others(said: Sequence[str]) -> dict[int, str]:
    """Another value of each word that moving shapes can have, the one furthest from it on its list."""
    kinds = {i: kind for i, word in enumerate(said) if (kind := _kind(word))}
    return {i: kind[(kind.index(said[i].lower()) + len(kind) // 2) % len(kind)] for i, kind in kinds.items()}


def _with(said: Sequence[str], place: int, other: str) -> str:
    return " ".join([*said[:place], other, *said[place + 1 :]])


def _nearest(
    generator: Generator, latents: Tensor, told: Condition, said: Sequence[str], place: int, seed: int
) -> tuple[str, float, float]:
    """The word of its kind that changes the velocity least, and the least distances of tokens and of velocities."""
    others = [word for word in _kind(said[place]) if word != said[place].lower()]
    conditions = [generator.condition(_with(said, place, other)) for other in others]
    encoded = [float((c.tokens - told.tokens).norm()) for c in conditions]
    deltas = [_deltas(generator, latents, told, c, seed) for c in conditions]
    used = [float(torch.stack([d.norm() for d in parts]).mean()) for parts in deltas]
    return others[int(np.argmin(used))], min(encoded), min(used)


def _deltas(generator: Generator, latents: Tensor, told: Condition, other: Condition, seed: int) -> list[Tensor]:
    """v(caption) - v(other) on the clip noised to each level."""
    first, second = generator.velocity(told), generator.velocity(other)
    noise, clean = noise_of(latents, seed), latents.to(generator.device)
    states = [((1 - s) * clean + s * noise, s) for s in LEVELS]
    return [first(y, s) - second(y, s) for y, s in states]


def _share(values: Mapping[int, float], place: int) -> float:
    """A word's value over the median of the others; over itself where it is alone."""
    rest = [value for i, value in values.items() if i != place] or [values[place]]
    middle = float(np.median(rest))
    return values[place] / middle if middle > 0 else float(values[place] > 0)


def _decided(sizes: Sequence[float]) -> float:
    if sum(sizes) == 0:
        return float("nan")
    total = np.cumsum(sizes) / sum(sizes)
    return LEVELS[int(np.searchsorted(total, 0.5))]


def _overruling(said: Sequence[str], deltas: Mapping[int, list[Tensor]], place: int) -> tuple[str, float]:
    """The other word whose part of the velocity leads away most, and the cosine."""
    own = torch.cat([d.flatten() for d in deltas[place]])
    found = [
        (said[i], float(F.cosine_similarity(own, torch.cat([d.flatten() for d in parts]), dim=0)))
        for i, parts in deltas.items()
        if i != place
    ]
    return min(found, key=lambda pair: pair[1], default=("", 0.0))


def _attended(generator: Generator, latents: Tensor, told, caption: str, seed: int) -> dict[int, float]:
    """Attention to each word over an even share of it; nothing without cross-attention or a place of the word."""
    try:
        where = places(generator, caption)
    except ValueError:
        return {}
    y = 0.3 * latents.to(generator.device) + 0.7 * noise_of(latents, seed)
    with watched(told.tokens.shape[1]) as maps:
        generator.velocity(told)(y, 0.7)
    if not maps:
        return {}
    mean = torch.stack([weights.float().mean((0, 1, 2)).cpu() for weights in maps]).mean(0)
    even = 1 / float(told.mask.sum())
    return {i: float(mean[tokens].mean()) / even for i, tokens in enumerate(where) if tokens}


def _read(
    generator: Generator, read: Read | None, video: Video, said: Sequence[str], i: int, other: str, texts: list[str]
) -> str:
    """The word that the clip shows, of all of its kind where the reader of moving shapes knows it."""
    word = said[i]
    if read is not None:
        return (word, other)[read(video, texts)]
    if (group := _kind(word)) and video.shape[-2:] == (64, 64):
        factors = measure(video).values[0]
        if not np.isfinite(factors[NAMES.index("shape")]):
            return "nothing"
        shown = moving.true_words(factors)
        kinds = (shown.shape, shown.hue, shown.direction, shown.size, shown.light, shown.speed)
        found = shown.background if said[i + 1 : i + 2] == ["background"] else kinds[GROUPS.index(group)]
        return word if found == word.lower() else found
    if isinstance(generator, NativeGenerator):
        scores = generator.clip_model.score(video.expand(2, -1, -1, -1, -1).to(generator.device), texts)
        return (word, other)[int(scores.argmax())]
    return ""


def _decoded(generator: Generator, noise: Tensor, told: Condition, other: Condition, options: dict[str, Any]) -> float:
    """Share of what swapping the word changes in latents that is left after they were decoded and encoded again."""
    drawn = generator.sample(noise.expand(2, -1, -1, -1, -1), Condition.cat([told, other]), **options)
    again = generator.encode(generator.decode(drawn))
    apart, left = drawn[1] - drawn[0], again[1] - again[0]
    return float((apart * left).sum() / apart.square().sum()) if apart.abs().max() > 0 else float("nan")


def _own_opinion(generator: Generator, latents: Tensor, told, other, seed: int) -> bool:
    """Whether the network itself takes the clip for one of the caption rather than of the other (Li et al. 2023)."""
    noise, clean = noise_of(latents, seed), latents.to(generator.device)
    first, second = generator.velocity(told), generator.velocity(other)
    errors = [
        (first(y, s) - (noise - clean)).square().mean() - (second(y, s) - (noise - clean)).square().mean()
        for y, s in (((1 - s) * clean + s * noise, s) for s in LEVELS)
    ]
    return float(torch.stack(errors).mean()) < 0


def _verdict(obeyed: bool, relative: Mapping[str, float], seen: int | None, cosine: float, decoded: float) -> str:
    """The first stage that failed."""
    if obeyed:
        return "obeyed"
    if relative["encoded"] < LITTLE:
        return "not encoded"
    if seen == 0:
        return "unseen"
    if relative["used"] < LITTLE:
        return "not used"
    if decoded < 0.5:
        return "not decoded"
    if cosine < -0.5:
        return "overruled"
    return "drawn otherwise"
