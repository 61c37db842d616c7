"""What captions and images are to a pipeline, and what its call makes of guidance: read once, told in every call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from latentlab.generator.condition import Condition
from latentlab.generator.pipelines.call import GUIDANCE, Call, Size
from latentlab.generator.pipelines.remembered import Answers, Form, RowSplit, binary, count, differing

PAIR = ("a small dog runs", "one red car stops")  # captions to tell apart
LONGER = "one red car stops near a star"  # of another length
ASKED = 3.0  # guidance under which it is seen what a call makes of it
T = TypeVar("T")
ONE_AT_A_TIME = (ValueError, TypeError, RuntimeError, AttributeError, IndexError, AssertionError)


@dataclass(frozen=True)
class Reading:
    """How a pipeline's encoders answer.

    Attributes:
        call: of the pipeline.
        form: of answers without guidance.
        blank: the condition of one caption, whatever it says.
        batches: whether they answer several captions at once.
        guidance: "classifier-free" (two captions, weighed as latentlab does it), "its own" (as the call does it), or
            "none".
        split: where answers under classifier-free guidance hold the caption and what it leads away from.
        guided: the form of answers under guidance of its own.
    """

    call: Call
    form: Form
    blank: Condition
    batches: bool
    guidance: str = "none"
    split: RowSplit | None = None
    guided: Form | None = None

    def condition(
        self,
        captions: Sequence[str],
        size: Size,
        *,
        negative: Sequence[str] | None = None,
        images: Sequence[Image.Image] | Sequence[list[Image.Image]] | None = None,
        masks: Sequence[list[Image.Image]] | None = None,
        **told: Any,
    ) -> Condition:
        """Answers to captions, with those to what guidance leads away from."""
        if not self.batches and len(captions) > 1:
            rows = [
                self.condition(
                    captions[i : i + 1],
                    size,
                    negative=None if negative is None else negative[i : i + 1],
                    images=None if images is None else images[i : i + 1],
                    masks=None if masks is None else masks[i : i + 1],
                    **told,
                )
                for i in range(len(captions))
            ]
            return _cat(rows)
        options: dict[str, Any] = {"images": images, "masks": masks, **told}
        if self.guidance == "classifier-free" and self.split is not None:
            guided = self.call.answers(captions, size, guidance=ASKED, negative=negative, **options)
            under, away = self.split.parts(guided, self.form.answers)
            return replace(self.form.condition(under), negative=self.form.condition(away))
        condition = self.form.condition(self.call.answers(captions, size, **options))
        if self.guided is not None:
            answers = self.call.answers(captions, size, guidance=ASKED, negative=negative, **options)
            own = self.guided.condition(answers).tensors()
            guided = {f"guided.{name}": t for name, t in own.items()}
            condition = replace(condition, parts={**condition.parts, **guided})
        return condition

    def answers(self, condition: Condition, guidance: float) -> Answers:
        """What the encoders would have answered.

        Raises:
            ValueError: guidance of its own, and a condition made without what that takes; or one that lacks what the
                encoders answer, or holds it in other widths.
        """
        self._check(condition)
        if guidance == 1.0 or self.guided is None:
            return self.form.answer(condition)
        own = {k.removeprefix("guided."): t for k, t in condition.extras.items() if k.startswith("guided.")}
        if not own:
            raise ValueError(
                f"{self.call.name} guides in its own way, and this condition was made without what it takes for that; "
                "make it by generator.condition(...)"
            )
        return self.guided.answer(Condition.from_tensors(own))

    def _check(self, condition: Condition) -> None:
        for name, own in self.blank.parts.items():
            if not own.is_floating_point() or own.ndim not in (2, 3) or binary(own):
                continue
            found = condition.parts.get(name)
            if found is None or found.ndim != own.ndim or found.shape[-1] != own.shape[-1]:
                wanted = f"{name!r} of (caption, {'token, ' * (own.ndim - 2)}{own.shape[-1]})"
                got = "none" if found is None else f"{tuple(found.shape)}"
                raise ValueError(
                    f"{self.call.name} reads {wanted}, and this condition holds {got}; make it by "
                    "generator.condition(...), which takes prompt_embeds=..., too"
                )
        tokens, own = (len(c.tokens[0]) if "tokens" in c.parts else 0 for c in (condition, self.blank))
        if tokens != own and self.form.counts_tokens(own):
            raise ValueError(
                f"{self.call.name} was read with captions of {own} tokens and keeps their places, got {tokens}; load "
                "it with call={'prompt_embeds': ...} of this length, or give captions"
            )


def read_captions(call: Call, size: Size) -> Reading:
    """How a pipeline's encoders answer one caption, and whether they answer several at once.

    Raises:
        ValueError: captions that change no answer, as where a call reads them by itself.
    """
    one, two = call.answers(PAIR[:1], size), None
    if count(fewer := _unguided(call, size)) < count(one):
        one, call.neutral = fewer, 0.0  # at a weight of 1 it asked for a second caption
    if call.reads_captions:
        try:
            two = call.answers(PAIR, size)
        except ONE_AT_A_TIME:
            two = None
    other = call.answers([LONGER], size) if call.reads_captions else one
    if count(other) > count(one):  # a mask is left out where every token counts
        one, other = other, one
    form = Form.of(one, two)
    if call.reads_captions:
        if not (changed := differing(one, other)):
            raise ValueError(
                f"{call.name} cannot be driven: captions change no answer of its encoders, so its call reads them "
                "by itself, where nothing can be kept"
            )
        if any(place not in form.each and place.rpartition("/")[0] not in form.lists for place in changed):
            form, two = Form.of(one, other=other), None  # as where the lengths of captions are told beside them
    return Reading(call, form, form.condition(one), batches=two is not None)


def _unguided(call: Call, size: Size) -> Answers:
    """Answers at a weight of 0, which some calls refuse."""
    call.neutral = 0.0
    try:
        return call.answers(PAIR[:1], size)
    except ValueError:
        return call.answers(PAIR[:1], size, **{n: 1.0 for n in GUIDANCE if n in call.signature})
    finally:
        call.neutral = 1.0


def read_guidance(reading: Reading, size: Size, velocity: Callable[[Mapping[str, Any], Answers], Tensor]) -> Reading:
    """What a pipeline's call makes of guidance.

    Args:
        reading: of its captions.
        size: of its clips.
        velocity: by arguments of its call and answers of its encoders, at one state and level.
    """
    call = reading.call
    plain = velocity(call.arguments([""], size), reading.form.answer(reading.blank))
    negative = PAIR[1:] if "negative_prompt" in call.signature else None
    for name in (name for name in GUIDANCE if name in call.signature and name not in call.more):
        call.guided_by = name
        answers = call.answers(PAIR[:1], size, guidance=ASKED, negative=negative)
        guided = velocity(call.arguments([""], size, guidance=ASKED, negative=negative and [""]), answers)
        if apart(guided, plain) <= 1e-6:
            continue
        alone, other = (call.answers(captions, size) for captions in (PAIR[:1], PAIR[1:]))
        away = velocity(call.arguments([""], size), reading.form.answer(reading.form.condition(other)))
        split = RowSplit.of(alone, other, answers)
        if split is not None and apart(torch.lerp(away, plain, ASKED), guided) <= 1e-3:
            return replace(reading, guidance="classifier-free", split=split)
        two = None
        if reading.batches:
            with suppress(*ONE_AT_A_TIME):
                two = call.answers(PAIR, size, guidance=ASKED, negative=negative and negative * 2)
        another = call.answers([LONGER], size, guidance=ASKED, negative=negative) if two is None else ()
        form = Form.of(answers, two, plain=reading.form.answers, other=another)
        return replace(reading, guidance="its own", guided=form)
    call.guided_by = None
    return reading


def apart(a: Tensor, b: Tensor) -> float:
    """Largest difference, over the spread of b."""
    return float((a - b).abs().max() / b.std().clamp(min=1e-12))


def pictures(image: Tensor) -> list[Image.Image]:
    """Images `(batch, 3, height, width)`, or the first frames of clips, in [-1, 1], as pipelines read them."""
    if not isinstance(image, Tensor) or image.ndim not in (4, 5):
        found = f"shape {tuple(image.shape)}" if isinstance(image, Tensor) else f"a {type(image).__name__}"
        raise ValueError(f"an image is a tensor (batch, 3, height, width) in [-1, 1], as video[:, :, 0]; got {found}")
    frames = (image if image.ndim == 4 else image[:, :, 0]).float().cpu()
    pixels = (frames.movedim(1, -1) * 127.5 + 127.5).round().clamp(0, 255).byte().numpy()
    return [Image.fromarray(frame) for frame in pixels]


def each_told(
    captions: str | Sequence[str], negative: str | Sequence[str] | None, images: Sequence[Image.Image] | None
) -> tuple[list[str], list[str] | None, list[Image.Image] | None]:
    """Caption, negative caption and image of each clip; one of them is that of all clips.

    Raises:
        ValueError: what is no caption, none at all, or other numbers of them.
    """
    said, away = captions_in(captions), None if negative is None else captions_in(negative)
    count = max(len(said), len(images or ()))
    for name, given in {"captions": said, "negative captions": away, "images": images}.items():
        if given is not None and len(given) not in (1, count):
            raise ValueError(f"{count} clips are told one of the {name} or {count}, got {len(given)}")

    def each(given: Sequence[T]) -> list[T]:
        return list(given) * count if len(given) == 1 else list(given)

    return each(said), None if away is None else each(away), None if images is None else each(images)


def captions_in(given: str | Sequence[str]) -> list[str]:
    """One caption or several, as a list."""
    said = [given] if isinstance(given, str) else given
    if not isinstance(said, Sequence) or not said or not all(isinstance(one, str) for one in said):
        raise ValueError(f"a caption is text, or a list of texts with one at least, got {given!r:.80}")
    return list(said)


def _cat(conditions: Sequence[Condition]) -> Condition:
    """Conditions after one another, with what they are against.

    Raises:
        ValueError: captions of different lengths, in a pipeline that does not fill them up.
    """
    shapes = [{name: t.shape[1:] for name, t in c.parts.items()} for c in conditions]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError(
            "these captions have different lengths, which this pipeline takes one at a time; make a condition for "
            "each, and sample them one after another"
        )
    all_of = Condition.cat(conditions)
    away = [c.negative for c in conditions]
    if any(a is None for a in away):
        return all_of
    return replace(all_of, negative=Condition.cat([a for a in away if a is not None]))
