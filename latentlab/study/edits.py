"""Edits of clips: a factor to a value of its own unit, or a move along a direction; every one with its account."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import get_args

from latentlab.checks import Seed, clear_errors
from latentlab.control.masks import with_axes
from latentlab.data.moving.factors import FACTORS, SIDE
from latentlab.data.moving.measure import measure
from latentlab.data.moving.measure_scenes import SeenScene
from latentlab.directions import Direction, DirectionSet
from latentlab.directions.mask import Mask, blend, leak
from latentlab.directions.target import Target
from latentlab.factors import FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.edits import EditNetwork, load_edits
from latentlab.metrics.perceptual import psnr
from latentlab.names import EditMethod, SpaceKind, When
from latentlab.settings import EditSettings
from latentlab.shapes import Video
from latentlab.study.account import Account, account
from latentlab.study.account_scenes import account_scene
from latentlab.study.asked import check_place
from latentlab.study.attempts import ON_THE_WAY, Attempt, by_flow, by_network, last_level
from latentlab.study.caption_account import CaptionAccount, caption_account
from latentlab.study.change import Value
from latentlab.study.contract_scenes import WantedScene
from latentlab.study.edit_methods import FlowEdit
from latentlab.study.fidelity import fidelity
from latentlab.study.named import words_of
from latentlab.study.recipe import Edited, Recipe
from latentlab.study.sources import find_directions, home
from latentlab.study.steps import Step
from latentlab.weights import shipped

STRONGEST = 100.0  # standard deviations


@clear_errors
def check_edit(direction: str, strength: float) -> None:
    """Raises unless this is a direction of moving shapes and a strength, before minutes go into finding it.

    >>> check_edit("hue@240", 3.0)
    """
    Target.parse(direction, FACTORS)
    check_strength(strength)


@clear_errors
def check_strength(strength: float) -> None:
    """Raises unless a strength is within what is taken for meant."""
    if not abs(strength) <= STRONGEST:
        raise ValueError(f"a strength is in standard deviations, up to {STRONGEST:g} either way, got {strength}")


@clear_errors
def edit_clip(
    generator: Generator,
    clip: Video,
    direction: str | None = None,
    strength: float = EditSettings.strength,
    *,
    to: Mapping[str, Value] | None = None,
    by: Mapping[str, Value] | None = None,
    caption: str | None = None,
    source: str = EditSettings.source,
    method: EditMethod | EditNetwork = EditSettings.method,
    directions: DirectionSet | None = None,
    space: SpaceKind = EditSettings.space,
    when: When = EditSettings.when,
    profile: str | tuple[float, ...] = "constant",
    mask: Mask | None = None,
    at: tuple[float, float] | None = None,
    read: Callable[[Video], FactorTable] | None = None,
    seed: Seed = 0,
    progress: bool = False,
) -> Edited:
    """Edits clips so that one thing changes and all else stays, and says whether it did.

    What is to change is told in one of three ways: `to` values or `by` differences in the factors' own units, a
    `caption`, or a `direction` and a strength in standard deviations.

    Args:
        generator: the model.
        clip: `(batch, 3, frame, height, width)`, of the generator's length and size.
        direction: of labelled clips, as `Effect` names it: "light", "hue@240", "shape=star"; of one clip.
        strength: in standard deviations of the codes along the direction.
        to: values to reach: `{"hue": 240}`, `{"hue": "blue"}`, `{"shape": "star"}`, `{"place": (32, 30)}`.
            Of two objects the first, the one further left in the mean over frames; those of the second are
            `{"hue.2": 240}`.
        by: changes to make: `{"size": "*1.25"}`, `{"light": 0.2}`, `{"place": (5, 0)}` pixels right and down,
            `{"direction": 90}` degrees, `{"speed": 0.2}` pixels a frame, `{"rotation": 3}` degrees a frame.
        caption: what the clips are to show. A model that has an edit network is asked for what the words name (hue,
            shape, background, direction); any other goes from `source` to it by its velocities.
        source: what the clips show, as a caption.
        method: "network" is that of pairs, which ships with the model (`latentlab train edits`), or one that you hold;
            "flow" edits by captions alone (`FlowEdit`). "auto" takes the network where the model has one.
        directions: found before, by `find_directions`; None finds them anew, which takes a minute.
        space: "latent", "noise" or "h-space", of a direction.
        when: "always"; "forming", at the flow times above that at which the factor is decided (`control.decided`) and
            not after; or from 1 down to a flow time of your own. Of a direction of h-space, or of a flow.
        profile: over time, of a direction; see `latentlab.edit`.
        mask: where the clip may change, `(height, width)` or `(batch, 1, frame, height, width)`; outside and a feather
            beyond it comes back as the autoencoder has it.
        at: a place in the first frame, pixels from the left and the top: of two objects the nearest to it is meant.
        read: the factors of clips, a table with a row a clip, for clips that are not moving shapes.
        seed: of the labelled clips, or of the noise of a flow.
        progress: show a bar.

    Returns:
        The clips, what the space itself loses, what moved, and whether the contract is kept (`Edited.kept`).

    Raises:
        KeyError: no such direction or factor.
        ValueError: nothing asked for, or twice; a value out of its range, or a factor or an object that the clip does
            not show; or a model without an edit network.

    >>> import latentlab as ll
    >>> generator = ll.load()
    >>> clip, _ = ll.data.moving_shapes(1, seed=0, fixed={"hue": 0.0, "background_hue": 120.0})
    >>> edited = edit_clip(generator, clip, by={"light": 0.1})
    >>> edited.kept, edited.given
    (True, 'pairs')
    """
    asked = sum(one is not None for one in (direction, to if to is not None else by, caption))
    if asked != 1:
        raise ValueError(
            f"an edit is asked for in one way, to and by, caption, or direction; got {asked or 'none'} of them"
        )
    if not isinstance(method, EditNetwork) and method not in get_args(EditMethod):
        raise ValueError(f"method is one of {', '.join(get_args(EditMethod))}, or an edit network, got {method!r:.80}")
    check_place(at, clip.shape[-1])
    mask = None if mask is None else with_axes(mask, clip)
    if direction is not None:
        if at is not None:
            raise ValueError(f"a direction is of the whole clip; at={at} says which object to and by are of")
        if directions is None:
            check_edit(direction, strength)
        check_strength(strength)
        last = last_level(generator, when, [re.split("[@=]", direction)[0]])
        if last and space != "h-space":
            raise ValueError(f"{ON_THE_WAY}; got space={space!r} and when={when!r}")
        found = _direction(generator, directions, space, direction, last, seed, progress)
        steps = (Step(found, strength, profile, mask),)
        edited = Recipe(space, steps, levels=(last, 1.0)).apply(generator, clip)
        return replace(edited, accounts=accounted(edited, direction), given=known_from(directions))
    network = method if isinstance(method, EditNetwork) else None if method == "flow" else network_of(generator)
    if when != "always" and (caption is None or network is not None):
        raise ValueError(f"{ON_THE_WAY}; got {'no flow' if network is None else 'an edit network'} and when={when!r}")
    if network is None and (caption is None or method == "network"):
        raise ValueError(
            "a flow goes from caption to caption; give one" if method == "flow" else _no_network(generator)
        )
    latents = generator.encode(clip)
    unedited = generator.decode(latents).cpu()
    if network is not None:
        attempt = by_network(network, clip, latents, unedited, to=to, by=by, caption=caption, at=at)
    else:
        last = last_level(generator, when, [*words_of(caption or "")])
        flow = FlowEdit(generator, source, caption or "", last=last, seed=seed)
        attempt = by_flow(flow, clip, latents, unedited, at=at, read=read)
    video = generator.decode(attempt.latents).cpu()
    spread = float("nan")
    if mask is not None:
        spread = leak(unedited, video, mask)
        video = blend(unedited, video, mask)
    known, like = fidelity(generator, clip, decoded=unedited), fidelity(generator, video)
    accounts = _accounts(generator, unedited, video, attempt, caption, read, at)
    floor = round(float(psnr(unedited, clip.cpu()).mean()), 2)
    return Edited(video, "latent", floor, None, unedited, spread, accounts, known, attempt.given, like)


def network_of(generator: Generator) -> EditNetwork | None:
    """The edit network that ships with a model, on its device; None where there is none for these latents."""
    if not isinstance(generator, NativeGenerator):
        return None
    with shipped() as folder:
        file = folder / "edits.safetensors"
        network = load_edits(file) if file.is_file() else None
    if network is None or network.config.autoencoder != generator.autoencoder.encoding():
        return None
    return network.to(generator.device)


def accounted(edited: Edited, target: str) -> tuple[Account, ...]:
    """What an edit along a direction did; empty where there is no reader of such clips, or no such factor."""
    if len(edited.video) != 1 or edited.video.shape[-2:] != (SIDE, SIDE) or edited.recipe is None:
        return ()
    backwards = bool(edited.recipe.steps) and edited.recipe.steps[0].strength < 0
    before, after = (clip.float().clamp(-1, 1) for clip in (edited.unedited, edited.video))
    try:
        return (account(before, after, target, towards=-1 if backwards else 1),)
    except KeyError:
        return ()


def known_from(directions: DirectionSet | None) -> str:
    """What directions were found from: "labels", or what took their place."""
    given = "" if directions is None else str(directions.provenance.get("given", ""))
    return "labels" if not given or given.startswith("exact factors") else given


def _direction(
    generator: Generator,
    known: DirectionSet | None,
    space: SpaceKind,
    name: str,
    last: float,
    seed: int,
    progress: bool,
) -> Direction:
    """A named direction, of those that were found before or found now."""
    if known is None:
        known = find_directions(generator, space=space, last=last, seed=seed, progress=progress)
    for what, here in {"levels": "1 to 0", **home(generator, space, last)}.items():
        there = str(known.provenance.get(what, "1 to 0" if what == "levels" else "unknown"))
        if there != here:
            raise ValueError(f"these directions are of another {what}: {there[:12]}, and the edit is in {here[:12]}")
    return known[name]


def _accounts(
    generator: Generator,
    before: Video,
    after: Video,
    attempt: Attempt,
    caption: str | None,
    read: Callable[[Video], FactorTable] | None,
    at: tuple[float, float] | None,
) -> tuple[Account | CaptionAccount, ...]:
    """What moved in each clip, by its factors where these were asked for, else by the caption."""

    def space(video: Video) -> Video:
        return generator.decode(generator.encode(video)).cpu()

    def of(one: Video, other: Video, scene: SeenScene | None) -> Account | CaptionAccount:
        if attempt.wanted and scene is not None and read is None:
            mine = [WantedScene.read([scene]).meant(change, at) for change in attempt.wanted]
            return account_scene(one, other, mine, seen=scene, space=space)
        if attempt.wanted:
            return account(one, other, attempt.wanted, read=read or measure, space=space)
        clip_model = generator.clip_model if isinstance(generator, NativeGenerator) else None
        device = generator.device
        return caption_account(one.to(device), other.to(device), caption or "", clip_model, read)

    return tuple(of(*each) for each in zip(before.split(1), after.split(1), attempt.scenes, strict=True))


def _no_network(generator: Generator) -> str:
    return (
        f"{type(generator).__name__} has no edit network for its latents, so to and by cannot be reached: train one by "
        "`latentlab train edits` and pass it as method, or ask by caption or direction"
    )
