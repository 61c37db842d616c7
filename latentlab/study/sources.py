"""What directions are found from: exact factors of moving shapes; elsewhere the user's labels, two captions, or clips.

Each set says in `provenance["given"]` what took the place of the exact factors that moving shapes have.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tqdm.auto import tqdm

from latentlab.checks import Count, Seed, clear_errors
from latentlab.data.labelled import Labelled
from latentlab.data.moving.dataset import moving_shapes
from latentlab.data.moving.factors import NUM_FRAMES, SIDE
from latentlab.directions import DirectionSet, Effect, MeanDifference
from latentlab.directions.unsupervised import PCA
from latentlab.factors import Factor, FactorTable
from latentlab.generator.generator import Generator
from latentlab.generator.sampler import DRAW, Sampler
from latentlab.names import SpaceKind
from latentlab.shapes import Codes, Video
from latentlab.study.edit_space import DIRECTION_SEED, LABELLED, edit_space

JUDGED = 10**8  # numbers in all codes up to which it is tested whether each direction is real


@clear_errors
def find_directions(
    generator: Generator,
    *,
    space: SpaceKind = "latent",
    labelled: Count | None = None,
    last: float = 0.0,
    seed: Seed = 0,
    progress: bool = False,
) -> DirectionSet:
    """Directions of all factors, from freshly rendered clips with known factors; once for any number of edits.

    Args:
        generator: the model.
        space: "latent", "noise" or "h-space".
        labelled: how many clips; None is as many as the space needs.
        last: of h-space, the flow time down to which activations are read, see `when` of `edit_clip`.
        seed: of the clips.
        progress: show a bar.

    Returns:
        The directions, which say in which space of which model they were found.

    Raises:
        ValueError: a model of other clips than moving shapes; the message says what its directions are found from.

    >>> import latentlab as ll
    >>> find_directions(ll.load(), labelled=4)["hue@240"].name
    'hue@240'
    """
    c, (frames, side) = generator.config, (NUM_FRAMES, SIDE)
    if (c.num_frames, c.height, c.width) != (frames, side, side):
        raise ValueError(
            f"exact factors are known of moving shapes, {frames} frames of {side} x {side}, and this model makes "
            f"{c.num_frames} of {c.height} x {c.width}; find directions from your own labels (--labels table.csv, or "
            "a folder a class), from two captions (--captions), or from clips alone (--clips); see study.sources"
        )
    place = edit_space(generator, space, **({"levels": (last, 1.0)} if last else {}))
    video, factors = moving_shapes(LABELLED[space] if labelled is None else labelled, DIRECTION_SEED + seed)
    chunks = tqdm(video.split(16), desc="encoding labelled clips", disable=not progress or None)
    codes = torch.cat([place.encode(chunk) for chunk in chunks])
    # Whether each is real (t, R2, p) takes far longer than the directions themselves, and nobody asks here.
    found = Effect(folds=0, permutations=0).fit(codes, factors).found_
    given = f"exact factors of {len(video)} clips of moving shapes"
    return replace(found, provenance={**found.provenance, **home(generator, space, last), "given": given})


@clear_errors
def directions_of_labels(
    generator: Generator, clips: Labelled, *, space: SpaceKind = "latent", progress: bool = False
) -> DirectionSet:
    """Directions of factors that the user knows of some clips, each as far as it is more than chance (t, R2, p).

    Args:
        generator: the model.
        clips: of its length and size, with their labels (`data.labelled`); a clip of which a label is not known is left
            out.
        space: "latent", "noise" or "h-space".
        progress: show a bar.

    Raises:
        ValueError: fewer than four clips, or labels that are the same for all.

    >>> import latentlab as ll
    >>> clips, factors = ll.data.moving_shapes(12, seed=0)
    >>> known = ll.data.Labelled(clips, factors.select(["light"]), tuple("abcdefghijkl"), "the table light.csv")
    >>> found = directions_of_labels(ll.load(device="cpu"), known)
    >>> found.names, found.provenance["given"]
    (('light',), 'labels of 12 clips, the table light.csv')
    """
    if len(clips) < 4:
        raise ValueError(f"labels of {len(clips)} clips say little; give those of four or more")
    codes = _codes(generator, clips.video, space, progress)
    tested = codes.numel() <= JUDGED
    finder = Effect() if tested else Effect(folds=0, permutations=0)
    found = finder.fit(codes, clips.factors).found_
    return _of(generator, found, space, f"labels of {len(clips)} clips, {clips.source}")


@clear_errors
def directions_of_captions(
    generator: Generator,
    first: str,
    second: str,
    *,
    space: SpaceKind = "latent",
    count: Count = 8,
    sampler: Sampler = DRAW,
    seed: Seed = 0,
    progress: bool = False,
) -> DirectionSet:
    """The direction from one caption to another: the mean difference of clips drawn under both from the same noise.

    Args:
        generator: the model.
        first, second: captions, classes of a model of images.
        space: "latent", "noise" or "h-space".
        count: of clips of each.
        sampler: how they are drawn.
        seed: of the noise; item i depends on `(seed, i)` alone.
        progress: show a bar.

    Returns:
        One direction, named "first > second".

    Raises:
        ValueError: captions under which the same clips are drawn.

    >>> import latentlab as ll
    >>> drawn = ll.DRAW.but(num_steps=1)
    >>> found = directions_of_captions(ll.load(device="cpu"), "a red star", "a blue star", count=2, sampler=drawn)
    >>> found.names
    ('a red star > a blue star',)
    """
    said, noise = (first, second), generator.noise(count, seed=seed)
    bars = tqdm(said, desc="drawing under each caption", disable=not progress or None)
    latents = torch.cat([generator.sample(noise, caption, sampler=sampler) for caption in bars])
    if torch.equal(latents[:count], latents[count:]):
        raise ValueError(
            f"the model draws the same under {first!r} and {second!r}: no direction leads from one to other"
        )
    if space == "latent":
        codes = latents.flatten(1).cpu()
    else:
        codes = _codes(generator, torch.cat([generator.decode(one) for one in latents.split(1)]).cpu(), space, progress)
    side = FactorTable(torch.arange(2).repeat_interleave(count)[:, None].double().numpy(), (_between(*said),))
    found = MeanDifference(share=0.5, folds=0, permutations=0).fit(codes, side).found_
    return _of(generator, found, space, f"{count} clips drawn under each of two captions, from the same noise")


@clear_errors
def directions_of_clips(
    generator: Generator, video: Video, *, space: SpaceKind = "latent", count: Count = 10, progress: bool = False
) -> DirectionSet:
    """Directions along which clips vary most, without labels: the principal components of their codes.

    Args:
        generator: the model.
        video: clips of its length and size.
        space: "latent", "noise" or "h-space".
        count: of components, at most one less than clips.
        progress: show a bar.

    >>> import latentlab as ll
    >>> found = directions_of_clips(ll.load(device="cpu"), ll.data.moving_shapes(4)[0], count=2)
    >>> found.names, found.provenance["given"]
    (('pca0', 'pca1'), 'no labels: principal components of 4 clips')
    """
    codes = _codes(generator, video, space, progress)
    found = PCA(count=min(count, max(len(video) - 1, 1))).fit(codes).found_
    return _of(generator, found, space, f"no labels: principal components of {len(video)} clips")


def home(generator: Generator, space: str, last: float = 0.0) -> dict[str, str]:
    """Where directions were found: they move codes of this space of these weights alone, down to a flow time."""
    where = {"edit_space": space, "weights": generator.fingerprint()}
    return where | ({"levels": f"1 to {last:g}"} if last else {})


def _of(generator: Generator, found: DirectionSet, space: str, given: str) -> DirectionSet:
    about: dict[str, Any] = {**found.provenance, **home(generator, space), "given": given}
    return replace(found, provenance=about)


def _codes(generator: Generator, video: Video, space: SpaceKind, progress: bool) -> Codes:
    place = edit_space(generator, space)
    bars = tqdm(video.split(1), desc="encoding clips", disable=not progress or None)
    return torch.cat([place.encode(clip).cpu() for clip in bars])


def _between(first: str, second: str) -> Factor:
    return Factor(f"{first} > {second}", "continuous", 0, 1)
