"""What the commands do that change clips along targets, captions and directions."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from latentlab.commands.loading import led_away, loaded, mask_of, own_size
from latentlab.commands.result import check_file, check_idle, emit, fitted, record_of, record_path, say, warned, written
from latentlab.data.labelled import clips_in
from latentlab.generator.generator import Generator
from latentlab.video import check_target, read_fitted

if TYPE_CHECKING:
    from latentlab.directions import DirectionSet
    from latentlab.names import SpaceKind
    from latentlab.study.recipe import Edited


def edit_command(
    video: str, *, to, by, at, caption, source, method, mask, direction, strength, directions, labels, space, when, out,
    seed, device, json, model,
) -> None:  # fmt: skip
    """A clip with one thing changed, and an account of it."""
    from latentlab.directions import load_directions
    from latentlab.settings import EditSettings
    from latentlab.study.change import changes, parse_all
    from latentlab.study.edits import check_edit, edit_clip

    check_target(out)
    wanted = {"to": parse_all(to, "to"), "by": parse_all(by, "by")}
    given = {name: value for name, value in {**wanted, "caption": caption, "direction": direction}.items() if value}
    if labels and (directions or not direction):
        raise ValueError("--labels go with --direction NAME, in the place of --directions FILE")
    if direction:
        check_idle({"source": source, "method": method, "at": at}, "does nothing with --direction, which says all")
    else:
        of_direction = {"strength": strength, "directions": directions, "space": space}
        check_idle(of_direction, "does nothing without --direction NAME")
    chosen = {"strength": strength, "space": space, "source": source, "method": method}
    how = EditSettings(**{name: value for name, value in chosen.items() if value is not None}, when=when)
    if len(given) == 1 and direction and not labels and not directions:
        check_edit(direction, how.strength)
    if to or by:
        changes(**wanted)
    found = load_directions(directions) if directions else None
    generator = led_away(loaded(model, device=device, at_most=own_size(video)), model)
    clip, note, fps = fitted(video, generator)
    where = mask_of(mask, clip.shape[2:]) if mask else None
    if labels:
        found = _of_labels(labels, generator, how.space)
    elif len(given) == 1 and direction and found is None:
        say("finding the direction: encoding labelled clips, a minute or two")
    options: dict[str, Any] = {"source": how.source, "method": how.method}
    if direction:
        options = {"strength": how.strength, "directions": found, "space": how.space}
    edited = edit_clip(generator, clip, **given, **options, when=how.when, mask=where, at=at, seed=seed, progress=True)
    file, measured = written(Path(out), edited.video, fps)
    numbers: dict[str, Any] = {**measured, "floor_psnr": edited.floor_psnr}
    numbers["warning"] = edited.fidelity.warning if edited.fidelity else ""
    numbers["account"] = edited.account.numbers() if edited.account else None
    numbers |= {"kept": edited.kept, "given": edited.given}
    settings = {"video": video, "fitted": note, **given, **({"strength": how.strength} if direction else {})}
    settings |= {"mask": mask, "at": at, "space": edited.space, "when": how.when, "negative": model.negative}
    record_of(generator, "edit", settings, seed, numbers, {"source": clip, "edited": file}).save(record_path(out))
    asked = (
        f"{direction} by {how.strength:+g} sd" if direction else edited.account.target if edited.account else caption
    )
    lines = [note, *warned(edited.fidelity), f"{asked} in {_where(edited.space)}, from {edited.given} -> {out}"]
    lines += _moved(edited)
    result = {"file": out, "space": edited.space, **numbers}
    if edited.recipe is not None:
        recipe = Path(out).with_suffix(".recipe.safetensors")
        edited.recipe.save(recipe)
        lines.append(f"recipe -> {recipe}")
        result["recipe"] = str(recipe)
    emit(result, json, lines)


def directions_command(
    *, space, labelled, labels, captions, clips, count, steps, out, seed, device, json, model
) -> None:
    """Directions in a file, from exact factors, labels, captions or clips alone."""
    from latentlab.directions import save_directions
    from latentlab.generator.sampler import DRAW
    from latentlab.study.sources import directions_of_captions, directions_of_clips, find_directions

    check_file(out)
    if len(asked := [name for name, own in (("labels", labels), ("captions", captions), ("clips", clips)) if own]) > 1:
        raise ValueError(f"directions are found from one thing, got {' and '.join(f'--{name}' for name in asked)}")
    if asked:
        check_idle({"labelled": labelled}, f"is of moving shapes, and these are found from --{asked[0]}")
    if asked not in (["captions"], ["clips"]):
        check_idle({"count": count}, "is of --captions and --clips")
    if asked != ["captions"]:
        check_idle({"steps": steps}, "is of --captions")
    count = count or 8
    generator = loaded(model, device=device)
    if labels:
        found = _of_labels(labels, generator, space)
    elif captions:
        sampler = DRAW.but(num_steps=steps, batch_size=1)
        found = directions_of_captions(
            generator, *captions, space=space, count=count, sampler=sampler, seed=seed, progress=True
        )
    elif clips:
        c = generator.config
        video = torch.cat([read_fitted(file, c.num_frames, (c.height, c.width)).video for file in clips_in(clips)])
        found = directions_of_clips(generator, video, space=space, count=count, progress=True)
    else:
        say("finding the directions: encoding labelled clips, a minute or two")
        found = find_directions(generator, space=space, labelled=labelled, seed=seed, progress=True)
    save_directions(out, found)
    given = found.provenance["given"]
    lines = [f"{len(found)} directions in {_where(space)}, from {given} -> {out}", repr(found)]
    emit({"file": out, "space": space, "directions": list(found.names), "given": given}, json, lines)


def _of_labels(labels: str, generator: Generator, space: SpaceKind) -> DirectionSet:
    """Directions of what the user knows of clips, at the model's length and size."""
    from latentlab.data import labelled
    from latentlab.study.sources import directions_of_labels

    c = generator.config
    say(f"finding directions: encoding the clips of {labels}")
    known = labelled(labels, c.num_frames, (c.height, c.width))
    return directions_of_labels(generator, known, space=space, progress=True)


def replay_command(recipe: str, video: str, *, out, device, json, model) -> None:
    """A clip edited as a recipe says."""
    from latentlab.study.edits import accounted
    from latentlab.study.recipe import Recipe

    check_target(out)
    known = Recipe.load(recipe)
    generator = loaded(model, device=device)
    clip, note, fps = fitted(video, generator)
    with warnings.catch_warnings(record=True) as rounded:
        warnings.simplefilter("always")
        edited = known.replay(generator, clip)
    file, measured = written(Path(out), edited.video, fps)
    if len(known.steps) == 1:
        edited = replace(edited, accounts=accounted(edited, known.steps[0].direction.name))
    numbers: dict[str, Any] = {**measured, "floor_psnr": edited.floor_psnr}
    numbers["warning"] = edited.fidelity.warning if edited.fidelity else ""
    numbers["account"] = edited.account.numbers() if edited.account else None
    settings = {"recipe": recipe, "video": video, "fitted": note, "steps": known.lines(), "space": edited.space}
    record_of(generator, "replay", settings, known.seed, numbers, {"source": clip, "edited": file}).save(
        record_path(out)
    )
    same = "the same frames" if not rounded else "; ".join(str(w.message) for w in rounded)
    lines = [note, *warned(edited.fidelity), *known.lines(), f"{same}, in {_where(edited.space)} -> {out}"]
    lines += _moved(edited)
    emit({"file": out, "space": edited.space, **numbers}, json, lines)


def _moved(edited: Edited) -> list[str]:
    """What an edit did, in words."""
    nobody = "what moved: there is no reader of the factors of such clips, so nobody can say whether the rest was kept"
    said = edited.account.lines() if edited.account else [nobody]
    if edited.leak == edited.leak:
        said.append(f"the model changed {edited.leak:.0%} as much outside the mask as inside; that was taken back")
    return said


def _where(space: str) -> str:
    return space if space.endswith("space") else f"{space} space"
