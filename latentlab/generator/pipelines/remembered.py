"""What the encoders of a pipeline answered, as a `Condition`, and back: captions as tensors that a file can hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from latentlab.generator.condition import Condition
from latentlab.tensors import tensor_digest

Answers = Sequence[tuple[str, Any]]  # (encoder, what it returned), in the order of the calls
MORE = (2, 3)  # rows of a caption under guidance
LENGTH = ".length"  # of each caption, where an encoder returns a list of captions of different lengths


@dataclass(frozen=True)
class Form:
    """How the answers of a pipeline's encoders are laid out, read from those of one caption and of two.

    Attributes:
        answers: of one caption; what no caption changes stands in them.
        each: places of tensors whose first axis is the captions, each with the rows of a caption: under guidance there
            may be two or three of it (what it leads away from, and an image without a caption), all first ones before
            all second ones; 0 rows are a tensor without such an axis.
        lists: places of lists that hold a tensor for each caption.
        tokens: place of the tokens, among either; None where there are none.
        mask: place of their mask; None where every token counts.
    """

    answers: Answers
    each: Mapping[str, int]
    lists: frozenset[str]
    tokens: str | None
    mask: str | None

    @staticmethod
    def of(one: Answers, two: Answers | None = None, *, plain: Answers = (), other: Answers = ()) -> Form:
        """The form of answers to one caption, and to two.

        Without the latter, what has one row is of the caption, and what has more where `plain` answers have one, and
        whatever differs from `other`, answers to another caption.
        """
        first, left_out = dict(_tensors(one)), set()
        if two is None:
            alone = {place: len(t) for place, t in _tensors(plain) if t.ndim}
            rows = {place: len(t) for place, t in first.items() if t.ndim > 1}
            each = {p: n for p, n in rows.items() if n == 1 or (n in MORE and alone.get(p) == 1)}
            each |= dict.fromkeys(differing(one, other) - each.keys(), 0)
            lists = set()
        else:
            second = dict(_tensors(two))
            pairs = {p: (t, second[p]) for p, t in first.items() if p in second}
            rows = {p: len(a) for p, (a, b) in pairs.items() if a.ndim and len(b) == 2 * len(a)}
            each = {p: n for p, n in rows.items() if n in (1, *MORE)}
            left_out = first.keys() - second.keys()  # as a mask is where every token counts
            lengths = dict(_lists(two))
            lists = {p for p, n in _lists(one) if n == 1 and lengths.get(p) == 2}
        of_lists = [p for p in first if any(p.rpartition("/")[0] == at for at in lists)]
        told = [p for p in first if each.get(p) == 1 and first[p].ndim == 3 and first[p].is_floating_point()]
        told += [p.rpartition("/")[0] for p in of_lists if first[p].ndim == 2]
        tokens = next(iter(told), None)
        mask = None
        if tokens in first:
            shape = first[tokens].shape[:2]
            places = {p for p, n in each.items() if n == 1 and p != tokens} | left_out
            masks = [p for p in places if first[p].shape == shape and binary(first[p])]
            mask = next(iter(sorted(masks)), None)
            each |= {} if mask is None else {mask: 1}
        return Form(tuple(one), each, frozenset(lists), tokens, mask)

    def condition(self, answers: Answers) -> Condition:
        """Answers to some captions as what latentlab keeps of them."""
        found = dict(_tensors(answers))
        parts: dict[str, Tensor] = {}
        for place, rows in sorted(self.each.items()):
            if place in found:
                t = found[place]
                parts[place] = t if rows == 1 else t.unflatten(0, (rows, -1)).movedim(0, 1) if rows else t[None]
        for at in sorted(self.lists):
            rows = [t for place, t in found.items() if place.rpartition("/")[0] == at]
            longest = max(len(t) for t in rows)
            parts[at] = torch.stack([F.pad(t, (0, 0) * (t.ndim - 1) + (0, longest - len(t))) for t in rows])
            parts[at + LENGTH] = torch.tensor([len(t) for t in rows])
        count = len(next(iter(parts.values()))) if parts else 1
        tokens = parts.pop(self.tokens) if self.tokens in parts else torch.zeros(count, 1, 1)
        if self.mask in parts:
            mask = parts.pop(self.mask).bool()
        elif self.tokens is not None and self.tokens + LENGTH in parts:
            mask = torch.arange(tokens.shape[1]) < parts.pop(self.tokens + LENGTH)[:, None]
            mask = mask.to(tokens.device)
        else:
            mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return Condition(tokens, mask, parts)

    def answer(self, condition: Condition) -> Answers:
        """What the encoders would have answered."""
        own = dict(condition.more)
        if self.tokens is not None:
            own[self.tokens] = condition.tokens
        if self.mask is not None:
            own[self.mask] = condition.mask

        def tensor(place: str, like: Tensor) -> Tensor | None:
            if place not in own:  # no caption changes it, or it is a mask that was left out under these
                return None if place in self.each and binary(like) else like
            t = own[place].to(like.device, like.dtype)
            each = self.each.get(place, 1)
            return t if each == 1 else t.movedim(1, 0).flatten(0, 1) if each else t[0]

        def rows(place: str, like: Tensor) -> list[Tensor]:
            padded = own[place].to(like.device, like.dtype)
            lengths = condition.mask.sum(1) if place == self.tokens else own[place + LENGTH]
            return [row[: int(n)] for row, n in zip(padded, lengths, strict=True)]

        return [(name, self._filled(f"{i}.{name}", out, tensor, rows)) for i, (name, out) in enumerate(self.answers)]

    def counts_tokens(self, count: int) -> bool:
        """Whether something that no caption changes has a row for each token, as their places have."""
        return any(t.ndim == 2 and len(t) == count for place, t in _tensors(self.answers) if place not in self.each)

    def _filled(self, place: str, out: Any, tensor: Callable, rows: Callable) -> Any:
        if isinstance(out, Tensor):
            return tensor(place, out)
        if place in self.lists:
            return rows(place, out[0])
        if isinstance(out, Mapping):
            return {k: self._filled(f"{place}/{k}", v, tensor, rows) for k, v in out.items()}
        if isinstance(out, tuple | list):
            filled = [self._filled(f"{place}/{k}", v, tensor, rows) for k, v in enumerate(out)]
            return filled if isinstance(out, list) else tuple(filled)
        return out


def count(answers: Answers) -> int:
    """Tensors among answers."""
    return len(list(_tensors(answers)))


def differing(one: Answers, other: Answers) -> set[str]:
    """Places of tensors that are not the same in two answers."""
    known = dict(_tensors(other))
    return {p for p, t in _tensors(one) if p in known and not (t.shape == known[p].shape and torch.equal(t, known[p]))}


def _tensors(answers: Answers) -> Iterator[tuple[str, Tensor]]:
    for i, (name, out) in enumerate(answers):
        for place, part in _walk(f"{i}.{name}", out):
            if isinstance(part, Tensor):
                yield place, part


def _lists(answers: Answers) -> Iterator[tuple[str, int]]:
    for i, (name, out) in enumerate(answers):
        for place, part in _walk(f"{i}.{name}", out):
            if isinstance(part, list) and part and all(isinstance(t, Tensor) for t in part):
                yield place, len(part)


def _walk(place: str, out: Any) -> Iterator[tuple[str, Any]]:
    yield place, out
    if isinstance(out, Mapping):
        for key, part in out.items():
            yield from _walk(f"{place}/{key}", part)
    elif isinstance(out, tuple | list):
        for key, part in enumerate(out):
            yield from _walk(f"{place}/{key}", part)


def binary(t: Tensor) -> bool:
    """Whether all of a tensor is 0 or 1, as a mask is."""
    return bool(((t == 0) | (t == 1)).all())


@dataclass(frozen=True)
class RowSplit:
    """Where the answers under guidance hold those to the caption, and those to what guidance leads away from.

    Attributes:
        under, against: for each place of answers without guidance, (place under guidance, half of its first axis or
            None for all of it).
    """

    under: Mapping[str, tuple[str, int | None]]
    against: Mapping[str, tuple[str, int | None]]

    @staticmethod
    def of(caption: Answers, negative: Answers, both: Answers) -> RowSplit | None:
        """The split of answers to (caption, negative) under guidance, where those of each alone are found in them."""
        known = dict(_tensors(both))

        def find(alone: Answers, taken: set) -> dict[str, tuple[str, int | None]] | None:
            found: dict[str, tuple[str, int | None]] = {}
            for place, t in _tensors(alone):
                at = [spot for spot, part in _parts(known) if part.shape == t.shape and torch.equal(part, t)]
                at = [spot for spot in at if spot not in taken] or at
                if not at:
                    return None
                found[place] = (place, None) if (place, None) in at else at[0]
            return found

        under = find(caption, set())
        against = None if under is None else find(negative, set(under.values()))
        return None if under is None or against is None else RowSplit(under, against)

    def parts(self, both: Answers, like: Answers) -> tuple[Answers, Answers]:
        """Answers under guidance as those to the caption and to what it leads away from, each laid out as `like`."""
        known = dict(_tensors(both))

        def taken(spots: Mapping[str, tuple[str, int | None]]) -> Answers:
            def put(place: str, out: Any) -> Any:
                if isinstance(out, Tensor):
                    at, half = spots.get(place, ("", None))
                    found = known.get(at)  # None is a mask that was left out
                    return found if found is None or half is None else found.chunk(2)[half]
                if isinstance(out, Mapping):
                    return {k: put(f"{place}/{k}", v) for k, v in out.items()}
                if isinstance(out, tuple | list):
                    parts = [put(f"{place}/{k}", v) for k, v in enumerate(out)]
                    return parts if isinstance(out, list) else tuple(parts)
                return out

            return [(name, put(f"{i}.{name}", out)) for i, (name, out) in enumerate(like)]

        return taken(self.under), taken(self.against)


def _parts(known: Mapping[str, Tensor]) -> Iterator[tuple[tuple[str, int | None], Tensor]]:
    for place, t in known.items():
        yield (place, None), t
        if t.ndim and len(t) % 2 == 0 and len(t):
            yield (place, 0), t.chunk(2)[0]
            yield (place, 1), t.chunk(2)[1]


def identity_of(value: Any) -> Any:
    """An argument of a call as a record holds it: tensors and pictures by their content."""
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): identity_of(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [identity_of(part) for part in value]
    if isinstance(value, Tensor):
        return tensor_digest(value)
    if isinstance(value, Image.Image | np.ndarray):
        return tensor_digest(torch.from_numpy(np.array(value)))
    return type(value).__name__
