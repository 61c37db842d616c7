"""One good call of each public function of the modules of `latentlab.study` that `doors` has none of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import doors_of_scenes
import doors_of_slices
import numpy as np
import torch
from doors_of_control import CAPTION, CLIP, LATENTS, Call, draw, generator

import latentlab as ll
from latentlab import study
from latentlab.data import Labelled, MovingShapes, moving_shapes
from latentlab.data.moving.factors import FactorSampler
from latentlab.directions import Direction, DirectionSet
from latentlab.factors import Factor, FactorTable
from latentlab.generator.config import GeneratorConfig
from latentlab.generator.native import NativeGenerator
from latentlab.generator.update import LowRank
from latentlab.generator.weightless import weightless
from latentlab.metrics import fields
from latentlab.metrics.flow import still
from latentlab.study.change import Change
from latentlab.study.contract import Wanted

BRIEF = {"caption": "a {hue} star", "axes": {"hue": ("red", "blue")}}
ONE = ll.DRAW.but(num_steps=1)
ROW = np.array([0, 10.0, 7, 32, 32, 20, 0.5, np.nan, 120, 0.75, 0])  # a circle, whose rotation nobody sees
DIRECTION = Direction("light", np.full(32, 32**-0.5), 1.0)


@functools.cache
def _shapes() -> tuple[torch.Tensor, FactorTable]:
    return moving_shapes(2, seed=0)


@functools.cache
def _labelled() -> Labelled:
    light = torch.linspace(-0.8, 0.8, 6)
    factors = FactorTable(light[:, None].double().numpy(), (Factor("light", "continuous", -1, 1),))
    return Labelled(light[:, None, None, None, None].expand(-1, 3, 4, 16, 16).clone(), factors, tuple("abcdef"), "made")


@functools.cache
def _table(count: int = 12) -> FactorTable:
    return FactorSampler(seed=0).table(range(count))


def _read(video: torch.Tensor) -> FactorTable:
    """Two factors of any clip: how light it is, and how red."""
    video = video.detach()
    values = torch.stack([video.mean((1, 2, 3, 4)), video[:, 0].mean((1, 2, 3))], 1).double()
    return FactorTable(values.numpy(), (Factor("light", "continuous", -1, 1), Factor("red", "continuous", -1, 1)))


def _recipe(**changes: Any) -> study.Recipe:
    return study.Recipe("latent", (study.Step(DIRECTION, 0.5),), **changes)


def _applied() -> study.Recipe:
    return _recipe().apply(generator(), CLIP).recipe


def _recipe_file() -> Path:
    path = Path("edit.safetensors")
    _applied().save(path)
    return path


def _brief() -> study.brief.Brief:
    return study.brief.Brief(**BRIEF)


def _brief_file() -> Path:
    path = Path("brief.toml")
    path.write_text('caption = "a {hue} star"\n[axes]\nhue = ["red", "blue"]\n')
    return path


def _ratings() -> Path:
    path = Path("ratings.csv")
    path.write_text("clip,liked\n000,1\n")
    return path


def _batches(**given: Any) -> study.batch.Batches:
    given = {"brief": _brief(), "folder": "batches", "draw": _drawn_clip, **given}
    return study.batch.Batches(**given)


def _drawn_clip(setting: object, seed: int) -> torch.Tensor:
    return CLIP


def _mixture() -> study.mixture.GaussianMixture:
    return study.mixture.GaussianMixture.random(2, 3)


def _recipe_of(step: study.Step) -> Any:
    return study.Recipe("latent", (step,)).apply(generator(), CLIP)


def _source() -> study.flicker_source.FlickerSource:
    decoded = tuple(ll.flicker(CLIP + push, flow=still) for push in (0.0, 0.1))
    return study.flicker_source.FlickerSource((0.5, 0.0), decoded, None, None)


def _slider(strength: float) -> torch.Tensor:
    return _shapes()[0] * (1 - 0.1 * strength)


@functools.cache
def _lit(light: float) -> torch.Tensor:
    return MovingShapes(1, fixed={"light": light}).clip(0)


class _Lit(NativeGenerator):
    """A generator whose sliders lighten what it draws."""

    def __init__(self, light: float = 0.75) -> None:
        self.light = light

    def adapted(self, adapters: Any) -> _Lit:
        ((slider, strength),) = adapters.items()
        return _Lit(0.75 + 0.1 * strength * slider.updates["layer"].alpha)

    def generate(self, captions: Any, **options: Any) -> torch.Tensor:
        generator().generate("", **options)
        return _lit(self.light).expand(len(captions), -1, -1, -1, -1)


SLIDER = ll.Adapter({"layer": LowRank(torch.ones(1, 2), torch.ones(2, 1), alpha=1.0)})


def _kernels(**given: Any) -> None:
    with study.roundtrip.exact_kernels(**given):
        pass


def asked(function: Callable[..., Any], **arguments: Any) -> Callable[[], Call]:
    return lambda: (function, dict(arguments))


def _memory(jobs: Any, **given: Any) -> study.memory.MemoryPlan:
    """None is all jobs, for which a test has no time."""
    return study.memory.memory(jobs=["decode"] if jobs is None else jobs, **given)


@functools.cache
def _of_shapes() -> NativeGenerator:
    """The tiny generator, as if it made clips as long and large as moving shapes."""
    own = generator()
    return NativeGenerator(own.autoencoder, own.denoiser, own.clip_model, GeneratorConfig(16, 64, 64))


def _found_from(labelled: Any, **given: Any) -> DirectionSet:
    """None is more clips than a test has time for."""
    return study.sources.find_directions(labelled=4 if labelled is None else labelled, **given)


def _found() -> DirectionSet:
    return DirectionSet.measured(("light", "size"), np.eye(32)[:2], draw(20, 32).double().numpy())


LEFT_OUT = {
    **doors_of_scenes.LEFT_OUT,
    **doors_of_slices.LEFT_OUT,
    **dict.fromkeys(
        (
            "Account",
            "CaptionAccount",
            "ContractClips",
            "Covered",
            "Drawn",
            "DrawnClip",
            "Edited",
            "FactorReading",
            "Fidelity",
            "FlickerSource",
            "Histogram",
            "Judged",
            "Loss",
            "MemoryPlan",
            "RoundTrip",
            "RoundTrips",
            "SliderMoves",
            "Wanted",
        ),
        "results",
    ),
    **dict.fromkeys(("FactorReading.value", "Judged.broken", "Wanted.of"), "of a result, which reads them itself"),
    **{
        f"ContractClips.{method}": "of a benchmark's clips"
        for method in ("accounted", "exactly_judged", "judged", "outside")
    },
    **dict.fromkeys(("contract_clips", "wish"), "the clips of a benchmark"),
    **dict.fromkeys(
        (
            "LatentField",
            "LatentField.forward",
            "LatentField.places",
            "LatentField.cells",
            "LatentField.read",
            "LatentField.fitted",
        ),
        "a network; `fit_field` makes it and `fitted` asks it",
    ),
    **dict.fromkeys(("Edit", "Edit.apply"), "what all ways to edit have"),
    **dict.fromkeys(("NetworkEdit", "FieldEdit"), "of a network that knows moving shapes; `edit_clip` makes it"),
    **dict.fromkeys(("NetworkEdit.apply", "FieldEdit.apply", "field_of_labels"), "tests/study/test_edits.py asks it"),
    **dict.fromkeys(("packed_steps", "unpacked_steps"), "how recipes keep their steps"),
    **dict.fromkeys(("network_of", "home", "table", "known_from", "accounted"), "reads what the library made"),
    **{
        f"GaussianMixture{method}": "a velocity that is known in closed form, for tests of solvers"
        for method in ("", ".spread", ".decode", ".log_density", ".score", ".velocity")
    },
    "Work": "one job, of which `memory` asks",
    "lpips_at_hand": "needs a network's file",
}
CALLS: dict[str, Callable[[], Call]] = {
    # flicker
    "flicker_source": asked(
        study.flicker_source.flicker_source,
        generator=generator(),
        noise=LATENTS,
        caption=CAPTION,
        sampler=ONE,
        num_steps=2,
        method="ddim",
        guidance=1.0,
        every=1,
        flow=still,
        progress=False,
    ),
    "FlickerSource.curve": lambda: (_source().curve, {"component": "overall", "of": "decoded"}),
    "FlickerSource.enters": lambda: (_source().enters, {"component": "overall"}),
    "FlickerSource.worst": lambda: (_source().worst, {"component": "overall"}),
    "steady": asked(study.flicker_source.steady, latents=LATENTS, ways=fields(CLIP, still), passes=1),
    # round trips
    "Loss.between": asked(study.roundtrip.Loss.between, video=CLIP, reference=CLIP * 0.9, distance=None),
    "roundtrip.compare": asked(
        study.roundtrip.compare,
        generator=generator(),
        video=CLIP,
        caption=CAPTION,
        methods=("ddim",),
        progress=False,
        num_steps=1,
    ),
    "exact_kernels": asked(_kernels, on=True),
    "self_test": asked(study.roundtrip.self_test, generator=generator(), caption=CAPTION, latents=LATENTS, seed=0),
    "fidelity": asked(study.fidelity.fidelity, generator=generator(), video=CLIP, decoded=CLIP * 0.9),
    # recipes
    "Step": asked(
        lambda **given: _recipe_of(study.Step(**given)),
        direction=DIRECTION,
        strength=0.5,
        profile="constant",
        mask=torch.ones(1, 1, 1, 1, 1),
        preserve=(),
    ),
    "draw": asked(study.steps.draw, steps=[study.Step(DIRECTION, 0.5)], here=ll.LatentSpace(generator()).around(CLIP)),
    "Recipe": asked(
        lambda **given: study.Recipe(**given).apply(generator(), CLIP),
        space="noise",
        steps=(study.Step(DIRECTION, 0.5),),
        num_steps=1,
        method="leapfrog",
        seed=0,
        caption=CAPTION,
        guidance=1.0,
        levels=(0.0, 1.0),
    ),
    "Recipe.of": asked(study.Recipe.of, space=ll.LatentSpace(generator()), steps=[study.Step(DIRECTION, 0.5)]),
    "Recipe.apply": lambda: (_recipe().apply, {"model": generator(), "clip": CLIP}),
    "Recipe.replay": lambda: (_applied().replay, {"model": generator(), "clip": CLIP}),
    "Recipe.save": lambda: (_applied().save, {"path": "edit.safetensors"}),
    "Recipe.load": lambda: (study.Recipe.load, {"path": _recipe_file()}),
    # attributes
    "appearance": asked(study.attributes.appearance, video=CLIP),
    "likeness": asked(
        lambda **given: study.attributes.likeness(**given)(CLIP),
        score=lambda video, captions: torch.zeros(len(video), len(captions)),
        captions=["a", "b"],
    ),
    # edits
    "check_edit": asked(study.edits.check_edit, direction="light", strength=0.5),
    "check_strength": asked(study.edits.check_strength, strength=0.5),
    "named": asked(study.named.named, caption="a blue star"),
    "Change": asked(lambda **given: Change(**given).after(ROW), name="light", how="by", value=(0.1,)),
    "Change.of": asked(Change.of, name="light", value=0.1, how="by"),
    "Change.after": lambda: (Change.of("light", 0.1, "by").after, {"row": ROW, "strength": 1.0}),
    "Change.check": lambda: (Change.of("light", 0.7).check, {"row": ROW}),
    "changes": asked(study.change.changes, to={"hue": "blue"}, by={"size": "*1.2"}),
    "parse": asked(study.change.parse, text="hue=blue", how="to"),
    "parse_all": asked(study.change.parse_all, texts=["hue=blue"], how="to"),
    "FlowEdit": asked(
        lambda **given: study.edit_methods.FlowEdit(**given).apply(LATENTS),
        generator=generator(),
        source=CAPTION,
        target="a blue star",
        num_steps=1,
        first=0.9,
        last=0.0,
        guidance=(1.0, 2.0),
        draws=1,
        seed=0,
    ),
    "FlowEdit.apply": lambda: (
        study.edit_methods.FlowEdit(generator(), CAPTION, "a blue star", 1).apply,
        {"latents": LATENTS, "strength": 0.5},
    ),
    "DirectionEdit": asked(
        lambda **given: study.edit_methods.DirectionEdit(**given).apply(LATENTS), direction=DIRECTION, sign=1.0
    ),
    "DirectionEdit.of": asked(
        study.edit_methods.DirectionEdit.of,
        found=_found(),
        change=Change.of("light", 0.1, "by"),
        row=ROW,
    ),
    "DirectionEdit.apply": lambda: (
        study.edit_methods.DirectionEdit(DIRECTION).apply,
        {"latents": LATENTS, "strength": 0.5},
    ),
    "fit_field": asked(
        study.latent_field.fit_field,
        latents=draw(4, 4, 2, 2),
        rows=torch.from_numpy(_table(4).values).float(),
        frames=torch.zeros(4),
        steps=1,
        reader_steps=1,
        batch=2,
        seed=0,
    ),
    "edit_space": asked(study.edit_space.edit_space, generator=generator(), kind="latent"),
    # the contract
    "judge": lambda: (
        study.contract.judge,
        {"video": _shapes()[0], "wanted": Wanted.of(_shapes()[1].values), "outside": None, "floor": None},
    ),
    "judge_rest": lambda: (
        study.contract.judge_rest,
        {"before": _shapes()[0][:1], "after": _shapes()[0][1:], "targets": ["hue"]},
    ),
    "unedited_overlap": lambda: (
        study.contract.unedited_overlap,
        {
            "known": Wanted.of(_shapes()[1].values),
            "wanted": Wanted.of(_shapes()[1].values),
            "before": _shapes()[0],
            "after": _shapes()[0],
            "space": None,
        },
    ),
    "Wanted.after": lambda: (
        Wanted.of(_shapes()[1].values).after,
        {"change": Change.of("light", 0.05, "by"), "strength": 1.0},
    ),
    "Wanted.silhouettes": lambda: (Wanted.of(_shapes()[1].values).silhouettes, {"video": _shapes()[0]}),
    "Wanted.overlap": lambda: (Wanted.of(_shapes()[1].values).overlap, {"video": _shapes()[0]}),
    "Wanted.overlap_in": lambda: (
        Wanted.of(_shapes()[1].values).overlap_in,
        {"space": lambda video: video, "video": _shapes()[0]},
    ),
    "Wanted.read": lambda: (Wanted.read, {"video": _shapes()[0]}),
    "account": asked(
        study.account.account,
        before=CLIP,
        after=CLIP * 0.9,
        target="light",
        towards=-1,
        read=_read,
        reference=_read(draw(8, 3, 4, 16, 16).div(4)),
        space=None,
    ),
    "flicker_added": lambda: (study.account.flicker_added, {"before": CLIP, "after": CLIP * 0.9}),
    "caption_account": asked(
        lambda **given: study.caption_account.caption_account(**given, clip_model=generator().clip_model),
        before=CLIP,
        after=CLIP * 0.9,
        caption=CAPTION,
    ),
    # a mixture
    "GaussianMixture.random": asked(study.mixture.GaussianMixture.random, modes=2, dim=3, seed=0),
    "GaussianMixture.draw": lambda: (_mixture().draw, {"count": 2, "seed": 0}),
    # batches
    "Brief": asked(
        study.brief.Brief, **BRIEF, forbidden=("green",), batch=2, ratings=4, seed=0, steps=2, folder=Path(".")
    ),
    "Brief.read": lambda: (study.brief.Brief.read, {"path": _brief_file()}),
    "Brief.said": lambda: (_brief().said, {"setting": {"hue": "red"}}),
    "Brief.file": lambda: (_brief().file, {"name": "a.png"}),
    "Batches": asked(
        _batches, brief=_brief(), folder="new", draw=_drawn_clip, look=None, model="", suffix=".mp4", fps=8.0
    ),
    "Batches.rate": lambda: (_batches().rate, {"ratings": {}}),
    "Batches.file": lambda: (_batches().file, {"clip": study.batch.DrawnClip("000", 0, {}, "", 0)}),
    "read_ratings": lambda: (study.batch.read_ratings, {"path": _ratings()}),
    # coverage and sliders
    "covered": lambda: (
        study.coverage.covered,
        {"drawn": _table()[:6], "data": _table()[6:], "caption": CAPTION, "seed": 0},
    ),
    "moves": asked(study.sliders.moves, draw=_slider, target="light", strengths=(-1.0, 1.0)),
    "coverage": lambda: (
        study.coverage.coverage,
        {
            "generator": generator(),
            "captions": [CAPTION],
            "count": 2,
            "data": _read(draw(8, 3, 4, 16, 16).div(4)),
            "read": _read,
            "seed": 0,
            "num_steps": 1,
        },
    ),
    "in_deviations": asked(
        study.sliders.in_deviations,
        generator=_Lit(),
        slider=SLIDER,
        target="light",
        clips=2,
        num_steps=1,
        seed=0,
        passes=1,
    ),
    "SliderMoves.others": lambda: (study.sliders.moves(_slider, "light", (-1.0, 1.0)).others, {"strength": 1.0}),
    "open_captions": asked(study.sliders.open_captions, target="size", count=2, seed=0),
    "memory": lambda: (
        _memory,
        {"generator": weightless(generator()), "jobs": ["sample"], "caption": CAPTION, "clips": 1, "sampler": ONE},
    ),
    # sources of directions
    "find_directions": asked(
        _found_from,
        generator=_of_shapes(),
        space="latent",
        labelled=4,
        last=0.0,
        seed=0,
        progress=False,
    ),
    "directions_of_labels": lambda: (
        study.sources.directions_of_labels,
        {"generator": generator(), "clips": _labelled(), "space": "latent", "progress": False},
    ),
    "directions_of_captions": asked(
        study.sources.directions_of_captions,
        generator=generator(),
        first=CAPTION,
        second="a blue star",
        space="latent",
        count=2,
        sampler=ONE,
        seed=0,
        progress=False,
    ),
    "directions_of_clips": lambda: (
        study.sources.directions_of_clips,
        {"generator": generator(), "video": _labelled().video, "space": "latent", "count": 2, "progress": False},
    ),
    **doors_of_scenes.CALLS,
    **doors_of_slices.CALLS,
}
