"""One good call of every public function and method: the function, and its arguments by name.

`RESULTS` are classes that the library makes and users only read; `LEFT_OUT` says why a name has no call.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import doors_of_control
import doors_of_study
import doors_of_view
import numpy as np
import tiny
import torch

import latentlab as ll
from latentlab import data, directions, interpolate, metrics, spaces, video
from latentlab.factors import Factor, FactorTable
from latentlab.generator import load
from latentlab.generator.networks.edits import EditNetwork, load_edits
from latentlab.generator.update import LowRank
from latentlab.generator.vector_vae import VectorVAE, VectorVAEConfig, load_vector_vae
from latentlab.metrics import disentanglement as dis
from latentlab.networks import EditConfig
from latentlab.weights import save_weights

Call = tuple[Callable[..., Any], dict[str, Any]]

RESULTS = {
    "Advice",
    "Around",
    "Clip",
    "Comparison",
    "Data",
    "DrawnControls",
    "Labelled",
    "Features",
    "Flicker",
    "Info",
    "Inverted",
    "Match",
    "Moments",
    "Pictures",
    "Player",
    "PrecisionRecall",
    "Range",
    "Record",
    "Score",
    "Space",
    "Statistics",
    "ScoreTable",
    "Towers",
}
LEFT_OUT = {
    **doors_of_control.LEFT_OUT,
    **doors_of_study.LEFT_OUT,
    **doors_of_view.LEFT_OUT,
    **{
        f"{finder}.fit": "asked through its finder, made and fitted"
        for finder in (
            "Clusters",
            "Contrastive",
            "ICA",
            "JacobianSVD",
            "Manipulator",
            "PCA",
            "Text",
            "Varimax",
            "WeightSVD",
        )
    },
    **{f"DSprites.{method}": "needs the data set" for method in ("clip", "draw", "factors", "image", "index")},
    "DSprites": "needs the data set",
    "NativeGenerator.having": "takes networks; adapters and merge call it",
    "NativeGenerator": "made of networks; `load` makes it",
    **dict.fromkeys(("i3d", "inception", "raft", "videomae"), "needs a network's file"),
    **dict.fromkeys(("NativeGenerator.predict", "Between.forward"), "called by the solver, at each step"),
    **{
        f"Model.{method}": "what all models say; those of `NativeGenerator` are asked, or called by the solver"
        for method in ("encode", "decode", "hearing", "completed", "prepared")
    },
    **{
        f"VelocityModel.{method}": "what all models say; those of `NativeGenerator` are asked, or called by the solver"
        for method in (
            "having",
            "renamed",
            "knowing",
            "condition",
            "predict",
            "network_velocity",
            "guidance_scale",
            "unconditional",
        )
    },
    "Model.told": "an old name",
    "Model.compile": "options of torch.compile",
    **dict.fromkeys(("Described.encode", "Described.decode", "Reduced.down", "Reduced.up"), "what all spaces say"),
    **{f"Evidence.{method}": "how nulls and intervals draw" for method in ("part", "permuted", "restored")},
    "Supervised.fit": "asked through its finder, made and fitted",
    "load_reader": "takes nothing",
    "BottleneckSpace.decode": "raises, whatever it is given",
    "Generator": "the base of all generators; its methods are asked",
    "Guide": "the base of all guides",
    "Guide.bound": "called by `guided`",
    "GeneratorConfig": "read from a generator's file, which `load` checks",
    **dict.fromkeys(
        ("Condition", "Condition.cat", "Condition.expand", "Condition.from_tensors", "Condition.to"),
        "tensors of a model's own, which it reads; tests/generator/test_condition.py asks it",
    ),
    **dict.fromkeys(("FactorTable", "FactorTable.select", "FactorTable.spec"), "tests/test_factors.py asks it"),
    "explore": "draws in a thread of its own; tests/view/test_explorer.py asks it",
}


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def clips(count: int = 2, frames: int = 4, size: int = 16, seed: int = 0) -> torch.Tensor:
    return draw(count, 3, frames, size, size, seed=seed).div(4).clamp(-1, 1)


generator = functools.cache(tiny.generator)
CODES = draw(60, 6).double().numpy()
LABELS = np.stack([CODES[:, 0] + 0.1 * draw(60, seed=1).numpy(), CODES[:, 1] ** 3], axis=1)
STEPS = np.stack([np.arange(60) % 3, np.arange(60) // 3 % 2], axis=1)  # each factor moves alone
POINT, END = draw(2, 3, 4, seed=2), draw(2, 3, 4, seed=3)
KEYS = draw(4, 2, 3, 4, seed=4)
LATENTS = draw(2, 2, 4, 2, 2, seed=5)
FRAMES = draw(2, 3, 8, 8, seed=6)
SEQUENCES = draw(3, 2, 9, 4, 4, seed=7)
MASK = torch.ones(2, 1, 4, 2, 2)
FEW = {"num_steps": 2, "seed": 0}


@functools.cache
def found() -> directions.DirectionSet:
    return directions.DirectionSet.measured(("light", "size"), np.eye(6)[:2], CODES)


def drifting() -> data.Drifting:
    return data.Drifting(data.images("digits", split="test"), 3)


@functools.cache
def clip_file() -> Path:
    path = Path.cwd() / "clip.mp4"
    video.write(path, clips(1), fps=8)
    return path


def latent(**options: Any) -> spaces.LatentSpace:
    return spaces.LatentSpace(generator(), **options)


def features(name: str = "mean") -> metrics.Features:
    return metrics.Features(name, "none", "0", lambda video: video.mean((3, 4)).flatten(1)[:, :3])


def pictures(frames: torch.Tensor) -> torch.Tensor:
    return frames.flatten(1)[:, :8]


def texts(captions: list[str]) -> torch.Tensor:
    return torch.stack([draw(8, seed=ord(caption[0])) for caption in captions])


def distance(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).flatten(1).norm(dim=1)


def fitted(finder: Callable[..., Any], /, **settings: Any) -> Callable[[], Call]:
    """A finder made and fitted, so that its settings are asked for as well."""

    def fit(codes: Any, **options: Any) -> Any:
        y = {"y": options.pop("y")} if "y" in options else {}
        return finder(**options).fit(codes, **y)

    return lambda: (fit, {"codes": CODES, **settings})


def supervised(finder: Callable[..., Any], **settings: Any) -> Callable[[], Call]:
    return fitted(
        finder, **{"y": LABELS, **settings}, kinds=None, names=("a", "b"), folds=2, permutations=2, random_state=0
    )


def scored(metric: Callable[..., Any], **options: Any) -> Callable[[], Call]:
    return lambda: (metric, {"codes": CODES, "factors": LABELS, "null": 0, "bootstrap": 0, "seed": 0, **options})


def on(made: Callable[[], Any], method: str, /, **arguments: Any) -> Callable[[], Call]:
    """A method of an object that is made for the call."""
    return lambda: (getattr(made(), method), dict(arguments))


def small_vae() -> VectorVAE:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return VectorVAE(VectorVAEConfig(dims=3, size=(16, 16), width=8)).eval()


def inner() -> spaces.BottleneckSpace:
    return spaces.BottleneckSpace(generator(), num_steps=2)


def edited_noise() -> spaces.NoiseSpace:
    return spaces.NoiseSpace(generator(), sampler=ll.EDIT, num_steps=2)


@functools.cache
def _text_codes() -> torch.Tensor:
    return spaces.TextSpace(generator(), **FEW).encode_captions(["a red star"])


@functools.cache
def _vector_codes() -> torch.Tensor:
    return spaces.VectorSpace(small_vae(), num_frames=4).encode(clips())


@functools.cache
def _manipulator() -> directions.Manipulator:
    return directions.Manipulator(components=4, width=8, steps=2).fit(CODES, LABELS)


def _between() -> Path:
    path = Path("between.safetensors")
    interpolate.Between(2, width=8, blocks=1).save(path)
    return path


def adapter() -> ll.Adapter:
    return ll.Adapter({"middle.space.modulate": LowRank(draw(1, 32), draw(64, 1), alpha=1.0)}, name="ink")


def adapters() -> list[ll.Adapter]:
    layer = "middle.space.modulate"
    return [ll.Adapter({layer: LowRank(draw(1, 32, seed=i), draw(64, 1), alpha=1.0)}, name=f"{i}") for i in range(3)]


def weight_space() -> spaces.WeightSpace:
    return spaces.WeightSpace(generator(), adapters(), num_steps=1)


def _model() -> Path:
    generator().save("model")
    return Path("model")


def _image_model() -> Path:
    tiny.images().save("images")
    return Path("images")


def _vae() -> Path:
    vae, folder = small_vae(), Path("vae")
    folder.mkdir(exist_ok=True)
    save_weights(folder / "vector_vae.safetensors", vae, asdict(vae.config))
    return folder


def _edits() -> Path:
    network = EditNetwork(EditConfig(2, width=8, blocks=0, hidden=8, reader_width=8))
    save_weights(Path("edits.safetensors"), network, asdict(network.config))
    return Path("edits.safetensors")


def _means() -> spaces.Blocks:
    return spaces.Blocks(latent(), {"frame": None})


def _velocity(**given: Any) -> torch.Tensor:
    return generator().velocity(**given)(LATENTS[:1], 0.5)


def _adapter() -> Path:
    path = Path("ink.safetensors")
    adapter().save(path)
    return path


def _directions() -> Path:
    path = Path("directions.safetensors")
    directions.save_directions(path, found())
    return path


def _lpips(**options: Any) -> torch.Tensor:
    try:
        return metrics.lpips(**options)
    except (FileNotFoundError, ValueError) as missing:
        if "download" in str(missing):  # its weights are not on this machine: a clear word is all there is to get
            return torch.zeros(2)
        raise


def _read(codes: torch.Tensor) -> FactorTable:
    return FactorTable(
        codes[:, :2].detach().float().numpy(),
        (Factor("light", "continuous", -3, 3), Factor("size", "continuous", -3, 3)),
    )


@functools.cache
def _labelled_folder() -> str:
    """A folder of two classes of pictures."""
    root = Path(tempfile.mkdtemp())
    for name in ("a", "b"):
        ll.video.write(root / name / f"{name}.png", torch.zeros(1, 3, 1, 8, 8))
    return str(root)


CALLS: dict[str, Callable[[], Call]] = {
    **doors_of_control.CALLS,
    **doors_of_study.CALLS,
    **doors_of_view.CALLS,
    # interpolate
    "lerp": lambda: (ll.lerp, {"a": POINT, "b": END, "t": 0.5}),
    "slerp": lambda: (ll.slerp, {"a": POINT, "b": END, "t": [0.5], "axis": "clip"}),
    "nlerp": lambda: (ll.nlerp, {"a": POINT, "b": END, "t": 0.5, "axis": "clip"}),
    "combine": lambda: (ll.combine, {"points": KEYS, "weights": [0.1, 0.2, 0.3, 0.4], "axis": "clip"}),
    "spline": lambda: (ll.spline, {"keys": KEYS, "t": [0.5], "axis": "clip"}),
    "uniform": lambda: (
        ll.uniform,
        {
            "path": lambda t: ll.lerp(POINT, END, t),
            "count": 3,
            "decode": None,
            "distance": None,
            "probes": 5,
            "rounds": 1,
        },
    ),
    "walk": lambda: (
        ll.walk,
        {"path": lambda t: ll.lerp(POINT, END, t), "count": 3, "space": "parameter", "decode": None, "distance": None},
    ),
    "advise": lambda: (ll.advise, {"latents": draw(8, 4, 2, 4, 4)}),
    "picture_distance": lambda: (interpolate.picture_distance, {"a": clips(), "b": clips(seed=1)}),
    "Between": lambda: (interpolate.Between, {"channels": 2, "width": 8, "blocks": 1}),
    "Between.save": on(lambda: interpolate.Between(2, width=8, blocks=1), "save", path="between.safetensors"),
    "Between.load": lambda: (interpolate.Between.load, {"path": _between()}),
    "fit_between": lambda: (
        interpolate.fit_between,
        {
            "sequences": SEQUENCES,
            "span": 4,
            "steps": 1,
            "batch_size": 2,
            "learning_rate": 0.01,
            "seed": 0,
            "width": 8,
            "blocks": 1,
            "progress": False,
        },
    ),
    "held_out_error": lambda: (
        interpolate.held_out_error,
        {"model": interpolate.Between(2, width=8, blocks=1), "sequences": SEQUENCES, "span": 4},
    ),
    "through": lambda: (
        interpolate.through,
        {"model": interpolate.Between(3, width=8, blocks=1), "keys": [FRAMES, FRAMES], "positions": [0.5]},
    ),
    # video
    "from_uint8": lambda: (video.from_uint8, {"pictures": np.zeros((1, 2, 4, 4, 3), np.uint8)}),
    "to_uint8": lambda: (video.to_uint8, {"video": clips()}),
    "write_parts": lambda: (video.write_parts, {"path": "new.mp4", "parts": [clips(1)], "fps": 8.0}),
    "write": lambda: (video.write, {"path": "new.mp4", "video": clips(1), "fps": 8.0}),
    "read": lambda: (
        video.read,
        {"path": clip_file(), "start": 0, "stop": None, "step": 1, "size": (16, 16), "fit": "crop"},
    ),
    "read_at": lambda: (video.read_at, {"path": clip_file(), "frames": [0, 2], "size": None, "fit": "crop"}),
    "read_fitted": lambda: (video.read_fitted, {"path": clip_file(), "num_frames": 2, "size": (16, 16), "fit": "crop"}),
    "probe": lambda: (video.probe, {"path": clip_file()}),
    "fit_clip": lambda: (
        video.fit_clip,
        {"clip": video.Clip(clips(1), 8.0), "num_frames": 2, "size": (8, 8), "fit": "crop"},
    ),
    "show": lambda: (video.show, {"video": clips(1), "fps": 8.0, "width": 64}),
    "data_uri": lambda: (video.data_uri, {"video": clips(1), "fps": 8.0, "scale": 1}),
    "check_target": lambda: (video.check_target, {"path": "new.mp4"}),
    "natural_order": lambda: (video.natural_order, {"path": Path("a2")}),
    # data
    "MovingShapes": lambda: (
        data.MovingShapes,
        {"count": 2, "seed": 0, "fixed": {"hue": 240.0}, "sweep": None, "correlated": None},
    ),
    "MovingShapes.clip": on(lambda: data.MovingShapes(2), "clip", index=0, seed=0, frames=[0, 1]),
    "MovingShapes.caption": on(lambda: data.MovingShapes(2), "caption", index=0, seed=0),
    "MovingShapes.mask": on(lambda: data.MovingShapes(2), "mask", index=0, frames=[0, 1]),
    "MovingShapes.said": lambda: (
        data.MovingShapes(2, objects=2).said,
        {"index": 0, "caption": data.MovingShapes(2, objects=2).caption(0), "frames": [0, 1]},
    ),
    "MovingShapes.drawn": on(lambda: data.MovingShapes(2), "drawn", index=0),
    "MovingShapes.scene": on(lambda: data.MovingShapes(2), "scene", index=0),
    "moving_shapes": lambda: (data.moving_shapes, {"count": 1, "seed": 0}),
    "measure": lambda: (data.measure, {"video": data.moving_shapes(1)[0], "objects": 1}),
    "controls": lambda: (data.controls, {"drawn": data.MovingShapes(2).drawn(0), "stroke": 1}),
    "moving_frames": lambda: (data.moving_frames, {"count": 1, "seed": 0, "progress": False}),
    "FolderClips": lambda: (
        data.FolderClips,
        {"root": clip_file().parent, "num_frames": 2, "size": (16, 16), "fit": "crop", "step": 1, "count": None},
    ),
    "FolderClips.look": on(lambda: data.FolderClips(clip_file().parent, 2, (16, 16)), "look", progress=False),
    "FolderClips.clip": on(
        lambda: data.FolderClips(clip_file().parent, 2, (16, 16)), "clip", index=0, seed=0, frames=[0]
    ),
    "FolderClips.caption": on(lambda: data.FolderClips(clip_file().parent, 2, (16, 16)), "caption", index=0, seed=0),
    "labelled": lambda: (
        data.labelled,
        {"path": _labelled_folder(), "num_frames": 2, "size": (8, 8), "fit": "crop"},
    ),
    "images": lambda: (data.images, {"source": "digits", "split": "test", "size": None}),
    "Images": lambda: (
        data.Images,
        {
            "pixels": np.zeros((2, 4, 4, 1), np.uint8),
            "labels": np.array([0, 1]),
            "names": ("a", "b"),
            "source": "made here",
        },
    ),
    "Images.clip": on(lambda: data.images("digits", split="test"), "clip", index=0, seed=0, frames=[0]),
    "Images.clips": on(lambda: data.images("digits", split="test"), "clips", indices=[0, 1]),
    "Images.caption": on(lambda: data.images("digits", split="test"), "caption", index=0, seed=0),
    "Images.factors": on(lambda: data.images("digits", split="test"), "factors", indices=[0, 1]),
    "Images.draw": on(lambda: data.images("digits", split="test"), "draw", count=1, seed=0),
    "Images.levels": on(lambda: data.images("digits", split="test"), "levels", indices=[0, 1], seed=0),
    "Images.checked": on(lambda: data.images("digits", split="test"), "checked", indices=[0, 1]),
    "phantoms": lambda: (data.phantoms, {"count": 1, "seed": 0, "size": 32}),
    "Slices": lambda: (
        data.Slices,
        {
            "pictures": data.phantoms(1, size=32).pictures,
            "tissues": np.zeros((1, 32, 32), int),
            "names": ("a", "b"),
        },
    ),
    "Slices.rows": on(lambda: data.phantoms(2, size=32), "rows", indices=[0, 1]),
    "Drifting": lambda: (data.Drifting, {"pictures": data.images("digits", split="test"), "num_frames": 3}),
    "Drifting.clip": on(drifting, "clip", index=0, seed=0, frames=[0, 1]),
    "Drifting.levels": on(drifting, "levels", indices=[0, 1], seed=0),
    "Drifting.caption": on(drifting, "caption", index=0, seed=0),
    # metrics of clips
    "psnr": lambda: (metrics.psnr, {"video": clips(), "reference": clips(seed=1)}),
    "ssim": lambda: (metrics.ssim, {"video": clips(), "reference": clips(seed=1)}),
    "flicker": lambda: (ll.flicker, {"video": clips(), "flow": metrics.still, "cuts": None}),
    "latent_flicker": lambda: (
        metrics.latent_flicker,
        {"latents": LATENTS, "decoded": clips(), "flow": metrics.still, "scale": None, "cuts": None},
    ),
    "flicker_loss": lambda: (
        metrics.flicker_loss,
        {"video": clips(), "ways": metrics.fields(clips(), flow=metrics.still)},
    ),
    "fields": lambda: (metrics.fields, {"video": clips(), "flow": metrics.still}),
    "dis": lambda: (metrics.dis, {"a": clips(1)[0].transpose(0, 1), "b": clips(1, seed=1)[0].transpose(0, 1)}),
    "still": lambda: (metrics.still, {"a": clips(1)[0].transpose(0, 1), "b": clips(1, seed=1)[0].transpose(0, 1)}),
    "spectral": lambda: (metrics.spectral, {"video": clips(), "blocks": 4}),
    "background_preservation": lambda: (
        metrics.background_preservation,
        {"video": clips(), "reference": clips(seed=1), "mask": torch.arange(16).expand(2, 4, 16, 16) < 8},
    ),
    "clip_score": lambda: (
        metrics.clip_score,
        {"video": clips(), "captions": ["a", "b"], "image": pictures, "text": texts},
    ),
    "clip_direction": lambda: (
        metrics.clip_direction,
        {
            "video": clips(),
            "reference": clips(seed=1),
            "captions": ["a", "b"],
            "reference_captions": ["c", "d"],
            "image": pictures,
            "text": texts,
        },
    ),
    "identity": lambda: (metrics.identity, {"video": clips(), "reference": clips(seed=1), "features": pictures}),
    "lpips": lambda: (
        _lpips,
        {"video": clips(), "reference": clips(seed=1), "net": "alex", "weights": None, "download": False},
    ),
    "dice": lambda: (
        metrics.dice,
        {"segments": torch.arange(8).view(2, 4) < 3, "reference": torch.arange(8).view(2, 4) < 5},
    ),
    "segmentation_consistency": lambda: (
        metrics.segmentation_consistency,
        {"segments": torch.arange(128).view(2, 4, 4, 4) % 3, "ways": None},
    ),
    "ppl": lambda: (
        metrics.ppl,
        {
            "path": lambda t: clips(len(t)) * t.view(-1, 1, 1, 1, 1),
            "distance": distance,
            "t": torch.tensor([0.2, 0.6]),
            "step": 0.01,
        },
    ),
    "path_smoothness": lambda: (
        metrics.path_smoothness,
        {
            "path": lambda t: clips(len(t)) * t.view(-1, 1, 1, 1, 1),
            "distance": distance,
            "t": torch.linspace(0.1, 0.9, 4),
        },
    ),
    # metrics of sets
    "compare": lambda: (
        metrics.compare,
        {
            "features": draw(20, 3),
            "reference": draw(20, 3, seed=1),
            "measure": "frechet",
            "name": "",
            "bootstrap": 2,
            "splits": 2,
            "seed": 0,
            "progress": False,
            "settings": None,
        },
    ),
    "compare_clips": lambda: (
        metrics.compare_clips,
        {"videos": clips(12), "reference": clips(12, seed=1), "features": features(), "bootstrap": 2, "splits": 2},
    ),
    **{
        name: functools.partial(
            lambda name, of: (
                getattr(metrics, name),
                {
                    "videos": clips(12),
                    "reference": clips(12, seed=1),
                    "features": features(of),
                    "bootstrap": 2,
                    "splits": 2,
                },
            ),
            name,
            of,
        )
        for name, of in {"fid": "inception", "fvd": "i3d", "kid": "inception", "kvd": "i3d"}.items()
    },
    "fvd_infinity": lambda: (
        metrics.fvd_infinity,
        {
            "videos": clips(30),
            "reference": clips(30, seed=1),
            "features": features("i3d"),
            "points": 3,
            "seed": 0,
            "progress": False,
        },
    ),
    "frechet_distance": lambda: (metrics.frechet_distance, {"features": draw(20, 3), "reference": draw(20, 3, seed=1)}),
    "frechet_infinity": lambda: (
        metrics.frechet_infinity,
        {"features": draw(90, 3), "reference": draw(90, 3, seed=1), "points": 3, "seed": 0},
    ),
    "kernel_distance": lambda: (metrics.kernel_distance, {"features": draw(20, 3), "reference": draw(20, 3, seed=1)}),
    "precision_recall": lambda: (
        metrics.precision_recall,
        {"features": draw(20, 3), "reference": draw(20, 3, seed=1), "neighbours": 3},
    ),
    "time_difference": lambda: (
        metrics.time_difference,
        {"frame": pictures, "name": "a", "preprocessing": "none", "fingerprint": "0"},
    ),
    # disentanglement
    **{
        name: scored(getattr(dis, name), bins=5)
        for name in ("dci_mig", "irs", "jemmig", "med", "mig", "mig_sup", "modularity", "sap")
    },
    **{
        name: scored(getattr(dis, name))
        for name in ("beta_vae", "dci", "dci_es", "explicitness", "factor_vae", "infomec", "rmig", "snc_nk")
    },
    **{name: scored(getattr(dis, name), factors=STEPS) for name in ("axis_alignment", "flatness")},
    "score": scored(dis.score, metrics=("mig", "sap"), progress=False),
    "prepare": lambda: (
        dis.prepare,
        {"codes": CODES, "factors": LABELS, "kinds": None, "names": None, "bins": 5, "binning": None},
    ),
    "group_by_axis": lambda: (dis.group_by_axis, {"shape": (2, 3), "axis": 0, "block": 1}),
    "swap": lambda: (
        dis.swap,
        {
            "codes": CODES,
            "factors": LABELS,
            "read": lambda codes: codes[:, :2],
            "subsets": None,
            "pairs": 8,
            "tolerance": 0.1,
            "batch": 4,
            "null": 1,
            "bootstrap": 2,
            "seed": 0,
        },
    ),
    "total_correlation": lambda: (
        dis.total_correlation,
        {"codes": CODES, "spread": None, "null": 1, "bootstrap": 2, "seed": 0},
    ),
    "wasserstein_dependence": lambda: (
        dis.wasserstein_dependence,
        {"codes": CODES, "spread": None, "null": 1, "bootstrap": 2, "seed": 0},
    ),
    "udr": lambda: (
        dis.udr,
        {
            "models": [CODES, CODES[:, ::-1].copy()],
            "informative": None,
            "similarity": "spearman",
            "null": 1,
            "bootstrap": 2,
            "seed": 0,
        },
    ),
    # directions
    "Effect": supervised(directions.Effect, ridge=1.0),
    "Dual": supervised(directions.Dual),
    "MeanDifference": supervised(directions.MeanDifference, conditional=False, share=0.25),
    "PairedDifference": supervised(directions.PairedDifference, y=STEPS),
    "ChannelRanking": supervised(directions.ChannelRanking, conditional=False, channels=2),
    "LDA": supervised(directions.LDA, conditional=False, share=0.25),
    "LogisticNormal": supervised(directions.LogisticNormal, conditional=False, share=0.25),
    "RidgeNormal": supervised(directions.RidgeNormal, conditional=False),
    "SVMNormal": supervised(directions.SVMNormal, conditional=False, share=0.25),
    "PCA": fitted(directions.PCA, count=2, groups=None, random_state=0),
    "PCA.partial_fit": on(lambda: directions.PCA(count=2), "partial_fit", codes=CODES),
    "ICA": fitted(directions.ICA, count=2, random_state=0, iterations=50),
    "Varimax": fitted(directions.Varimax, count=2, random_state=0, iterations=10),
    "Clusters": fitted(directions.Clusters, count=2, method="kmeans", random_state=0),
    "JacobianSVD": fitted(
        directions.JacobianSVD,
        function=lambda z: z**2,
        count=2,
        block=1,
        blocks=3,
        mask=None,
        null=0,
        points=1,
        random_state=0,
    ),
    "WeightSVD": lambda: (
        lambda codes, **options: directions.WeightSVD(**options).fit(codes),
        {"codes": CODES, "weights": draw(5, 6), "count": 2},
    ),
    "Contrastive": fitted(directions.Contrastive, features=lambda z: z * 2, count=2, steps=2, batch_size=4),
    "Text": fitted(
        directions.Text, y=draw(60, 8).numpy(), pairs={"a": ("b", "c")}, embed=texts, permutations=2, folds=2
    ),
    "Manipulator": fitted(directions.Manipulator, y=LABELS, components=4, width=8, steps=2, ridge=0.01, random_state=0),
    "Manipulator.edit": on(
        lambda: _manipulator(), "edit", codes=draw(3, 6), target="factor0", strength=1.0, hold=None, factors=None
    ),
    "Direction": lambda: (
        lambda **known: directions.Direction(**known).vector,  # NaN is a t that is not known
        {"name": "a", "vector": np.eye(3)[0], "scale": 1.0, "t": 2.0, "r2": 0.5, "p": 0.1},
    ),
    "LocalDirection": lambda: (
        directions.LocalDirection,
        {"name": "a", "vector": np.eye(3)[0], "scale": 1.0, "at": lambda codes: codes},
    ),
    "Normal": lambda: (directions.Normal, {"name": "a", "vector": np.eye(3)[0]}),
    "Limits": lambda: (directions.Limits, {"saturation": 0.1, "others": 0.5, "unread": 0.5, "quality": 1.0}),
    "DirectionSet": lambda: (
        directions.DirectionSet,
        {"names": ("a", "b"), "vectors": np.eye(3)[:2], "covariance": np.eye(2)},
    ),
    "DirectionSet.measured": lambda: (
        directions.DirectionSet.measured,
        {"names": ("a", "b"), "effects": np.eye(6)[:2], "codes": CODES},
    ),
    "DirectionSet.made_of": on(lambda: found(), "made_of", shares=np.ones((1, 2)), names=["sum"]),
    "DirectionSet.normals": lambda: (lambda factor: found().normals(factor), {"factor": "light"}),
    "DirectionSet.select": on(lambda: found(), "select", names=["light"]),
    "DirectionSet.renamed": on(lambda: found(), "renamed", names={"light": "bright"}),
    "DirectionSet.index": on(lambda: found(), "index", name="light"),
    "edit": lambda: (
        ll.edit,
        {
            "codes": draw(2, 6),
            "direction": found()["light"],
            "strength": 1.0,
            "profile": "constant",
            "mask": None,
            "preserve": (),
            "shape": None,
        },
    ),
    "blend": lambda: (
        directions.blend,
        {"before": clips(), "after": clips(seed=1), "mask": torch.ones(2, 1, 4, 16, 16), "feather": 1},
    ),
    "leak": lambda: (
        directions.leak,
        {"before": clips(), "after": clips(seed=1), "mask": (torch.arange(16) < 8).float().expand(2, 1, 4, 16, 16)},
    ),
    "above": lambda: (directions.above, {"weights": MASK, "threshold": 0.5}),
    "changed": lambda: (directions.changed, {"before": clips(), "after": clips(seed=1), "threshold": 0.5, "blur": 5}),
    "add": lambda: (directions.add, {"directions": found(), "shares": {"light": 1.0, "size": 0.5}, "name": "both"}),
    "orthogonalise": lambda: (directions.orthogonalise, {"directions": found(), "order": ["light", "size"]}),
    "project_out": lambda: (directions.project_out, {"directions": found(), "name": "light", "others": ["size"]}),
    "match": lambda: (directions.match, {"ours": found(), "theirs": found(), "similarity": None}),
    "stability": lambda: (
        directions.stability,
        {"finder": directions.Effect(permutations=0), "codes": CODES, "y": LABELS, "repeats": 2, "seed": 0},
    ),
    "save_directions": lambda: (
        directions.save_directions,
        {"path": "d.safetensors", "directions": found(), "provenance": None},
    ),
    "load_directions": lambda: (directions.load_directions, {"path": _directions()}),
    "caption_direction": lambda: (directions.caption_direction, {"encode": texts, "pairs": [("a", "b")], "name": "ab"}),
    "usable_range": lambda: (
        directions.usable_range,
        {
            "codes": torch.from_numpy(CODES),
            "direction": found()["light"],
            "decode": lambda codes: codes,
            "read": _read,
            "reference": _read(torch.from_numpy(CODES)),
            "quality": None,
        },
    ),
    # generator and spaces
    "Generator.levels": on(generator, "levels", num_steps=2, shape=(2, 4, 2, 2)),
    "Generator.noise": on(generator, "noise", count=1, seed=0),
    "Sampler": lambda: (
        ll.Sampler,
        {"method": "heun", "num_steps": 2, "levels": "sampling", "guidance": 1.0, "batch_size": 2},
    ),
    "Sampler.but": on(lambda: ll.EDIT, "but"),
    "Sampler.guiding": on(lambda: ll.EDIT, "guiding", own=2.0),
    "Generator.sample": on(
        generator,
        "sample",
        noise=LATENTS,
        caption="a red star",
        sampler=None,
        num_steps=2,
        method="ddim",
        guidance=1.0,
        batch_size=1,
        callback=None,
        progress=False,
    ),
    "Generator.invert": on(
        generator,
        "invert",
        latents=LATENTS,
        caption="a red star",
        sampler=None,
        num_steps=2,
        method="midpoint",
        guidance=1.0,
        batch_size=1,
        seed=0,
        callback=None,
        progress=False,
    ),
    "Generator.generate": on(
        generator,
        "generate",
        captions="a red star",
        seed=0,
        sampler=ll.DRAW,
        num_steps=1,
        method="ddim",
        guidance=1.0,
        batch_size=1,
        progress=False,
    ),
    "Adapter": lambda: (ll.Adapter, {"updates": adapter().updates, "words": {}, "about": {}, "name": "ink"}),
    "Adapter.read": lambda: (ll.Adapter.read, {"path": _adapter()}),
    "Adapter.save": on(adapter, "save", path="ink.safetensors"),
    "Adapter.scaled": on(adapter, "scaled", factor=2.0),
    "why": lambda: (
        ll.why,
        {
            "generator": generator(),
            "caption": "a red star",
            "clip": None,
            "alternatives": {"red": "blue"},
            "read": lambda video, captions: 0,
            "training": ["a red star"],
            "num_steps": 1,
            "seed": 0,
        },
    ),
    "Model.adapted": on(generator, "adapted", adapters={adapter(): 0.5}, mask=torch.ones(4, 16, 16), levels=(0.5, 1.0)),
    "Model.guided": lambda: (
        lambda guide: generator().guided(guide),
        {"guide": ll.control.Shaped(torch.ones(1, 1, 4, 16, 16))},
    ),
    "Model.velocity": lambda: (_velocity, {"condition": generator().condition("a red star"), "guidance": 2.0}),
    "VelocityModel.against": on(generator, "against", caption="a red star"),
    "VelocityModel.as_condition": on(generator, "as_condition", caption="a red star"),
    "VelocityModel.check_latents": on(generator, "check_latents", latents=LATENTS),
    "VelocityModel.network_of": on(generator, "network_of", role="denoiser"),
    "Described.around": on(latent, "around", video=clips(1)),
    "Described.floor": on(latent, "floor", video=clips(1)),
    "Described.groups": on(latent, "groups", axis="frame"),
    "Described.unflatten": on(latent, "unflatten", codes=LATENTS.flatten(1)),
    "Reduced.around": on(_means, "around", video=clips(1)),
    "Reduced.encode": on(_means, "encode", video=clips(1)),
    "Reduced.decode": on(_means, "decode", codes=draw(2, 8)),
    "Reduced.lift": on(_means, "lift", direction=directions.Direction("light", np.full(8, 8**-0.5), 1.0)),
    "Finder.normals": lambda: (
        lambda factor: directions.PCA(count=2).fit(CODES).normals(factor),
        {"factor": "pca0"},
    ),
    "load_autoencoder": lambda: (load.load_autoencoder, {"folder": _model()}),
    "load_clip": lambda: (load.load_clip, {"folder": _model()}),
    "load_denoiser": lambda: (load.load_denoiser, {"folder": _model()}),
    "load_pixels": lambda: (load.load_pixels, {"folder": _image_model()}),
    "load_image_denoiser": lambda: (load.load_image_denoiser, {"folder": _image_model()}),
    "load_edits": lambda: (load_edits, {"path": _edits()}),
    "load_vector_vae": lambda: (load_vector_vae, {"folder": _vae()}),
    "NativeGenerator.knowing": on(generator, "knowing", words={"ink": draw(32)}),
    "as_space": lambda: (spaces.as_space, {"space": latent(), "clips": clips(1)}),
    "NativeGenerator.encode": on(generator, "encode", video=clips(), batch_size=1),
    "NativeGenerator.decode": on(generator, "decode", latents=LATENTS, batch_size=1),
    "NativeGenerator.save": on(generator, "save", folder="model"),
    "NativeGenerator.to": on(tiny.generator, "to", device="cpu"),
    "NativeGenerator.condition": on(generator, "condition", captions="a red star"),
    "load": lambda: (
        ll.load,
        {"path": None, "device": "cpu", "dtype": torch.float32, "vae_dtype": torch.float32, "tiling": False},
    ),
    "LatentSpace": lambda: (spaces.LatentSpace, {"generator": generator(), "num_frames": 4}),
    "LatentSpace.encode": on(latent, "encode", video=clips()),
    "LatentSpace.decode": on(latent, "decode", codes=LATENTS.flatten(1)),
    "NoiseSpace": lambda: (
        spaces.NoiseSpace,
        {
            "generator": generator(),
            "sampler": None,
            "num_steps": 2,
            "method": "midpoint",
            "caption": "",
            "guidance": 1.0,
            "num_frames": None,
            "batch_size": 1,
            "progress": False,
        },
    ),
    "NoiseSpace.encode": on(lambda: spaces.NoiseSpace(generator(), num_steps=2), "encode", video=clips()),
    "NoiseSpace.decode": on(lambda: spaces.NoiseSpace(generator(), num_steps=2), "decode", codes=LATENTS.flatten(1)),
    "TextSpace": lambda: (
        spaces.TextSpace,
        {"generator": generator(), "describe": None, "sampler": ll.DRAW, "method": "ddim", "guidance": 1.0, **FEW},
    ),
    "TextSpace.encode": on(
        lambda: spaces.TextSpace(generator(), describe=lambda video: ["a red star"] * len(video), **FEW),
        "encode",
        video=clips(),
    ),
    "TextSpace.encode_captions": on(
        lambda: spaces.TextSpace(generator(), **FEW), "encode_captions", captions=["a red star"]
    ),
    "TextSpace.condition": on(lambda: spaces.TextSpace(generator(), **FEW), "condition", codes=_text_codes()),
    "TextSpace.decode": on(lambda: spaces.TextSpace(generator(), **FEW), "decode", codes=_text_codes()),
    "BottleneckSpace": lambda: (
        spaces.BottleneckSpace,
        {
            "generator": generator(),
            "layer": None,
            "sampler": ll.EDIT,
            "num_steps": 2,
            "method": "leapfrog",
            "levels": (0.0, 1.0),
            "per_level": False,
            "caption": "",
            "guidance": 1.0,
        },
    ),
    "BottleneckSpace.encode": on(lambda: inner(), "encode", video=clips()),
    "BottleneckSpace.around": on(lambda: inner(), "around", video=clips()),
    "NoiseSpace.around": on(
        lambda: spaces.NoiseSpace(generator(), sampler=ll.EDIT, num_steps=2), "around", video=clips()
    ),
    "WeightSpace": lambda: (
        spaces.WeightSpace,
        {
            "generator": generator(),
            "adapters": adapters(),
            "dims": 1,
            "caption": "a red star",
            "rank": 1,
            "seed": 0,
            "sampler": ll.DRAW,
            "num_steps": 1,
            "guidance": 1.0,
        },
    ),
    "WeightSpace.encode_adapters": on(weight_space, "encode_adapters", adapters=adapters()),
    "WeightSpace.adapter": on(weight_space, "adapter", code=torch.zeros(2), name="middle"),
    "WeightSpace.decode": on(weight_space, "decode", codes=torch.zeros(1, 2)),
    "WeightSpace.encode": on(weight_space, "encode", video=clips(1), passes=1),
    "VectorSpace": lambda: (spaces.VectorSpace, {"vae": small_vae(), "num_frames": 4}),
    "VectorSpace.groups": on(lambda: spaces.VectorSpace(small_vae(), num_frames=4), "groups", axis="frame"),
    "VectorSpace.unrolled": on(
        lambda: spaces.VectorSpace(small_vae(), num_frames=4), "unrolled", codes=_vector_codes()
    ),
    "VectorSpace.encode": on(lambda: spaces.VectorSpace(small_vae(), num_frames=4), "encode", video=clips()),
    "VectorSpace.decode": on(lambda: spaces.VectorSpace(small_vae(), num_frames=4), "decode", codes=_vector_codes()),
    "Blocks": lambda: (spaces.Blocks, {"space": latent(), "block": {"frame": None}, "rest": None}),
    "Blocks.down": on(lambda: spaces.Blocks(latent(), {"frame": None}), "down", wide=LATENTS.flatten(1)),
    "Blocks.up": on(lambda: spaces.Blocks(latent(), {"frame": None}), "up", codes=draw(2, 8)),
    "Cached.around": on(lambda: spaces.Cached(latent()), "around", video=clips()),
    "Cached": lambda: (spaces.Cached, {"space": latent(), "megabytes": 1.0, "folder": None}),
    "Cached.encode": on(lambda: spaces.Cached(latent()), "encode", video=clips()),
    "Cached.decode": on(lambda: spaces.Cached(latent()), "decode", codes=LATENTS.flatten(1)),
    "Components": lambda: (
        spaces.Components,
        {"space": latent(), "codes": draw(20, 32), "count": 3, "rest": None, "seed": 0},
    ),
    "Components.down": on(lambda: spaces.Components(latent(), draw(20, 32), 3), "down", wide=draw(2, 32)),
    "Components.up": on(lambda: spaces.Components(latent(), draw(20, 32), 3), "up", codes=draw(2, 3)),
    "Places": lambda: (spaces.Places, {"space": latent(), "axis": "channel", "places": [0], "rest": None}),
    "Places.down": on(lambda: spaces.Places(latent(), "channel", [0]), "down", wide=LATENTS.flatten(1)),
    "Places.up": on(lambda: spaces.Places(latent(), "channel", [0]), "up", codes=draw(2, 16)),
    "TimeResidual": lambda: (spaces.TimeResidual, {"space": latent(), "axis": "frame", "rest": None}),
    "TimeResidual.down": on(lambda: spaces.TimeResidual(latent()), "down", wide=LATENTS.flatten(1)),
    "TimeResidual.up": on(lambda: spaces.TimeResidual(latent()), "up", codes=draw(2, 32)),
    "attention": lambda: (
        spaces.attention,
        {
            "generator": generator(),
            "latents": LATENTS,
            "condition": generator().condition("a red star"),
            "tokens": [1],
            "levels": (0.5,),
            "seed": 0,
        },
    ),
    "hooked": lambda: (spaces.hooked, {"layer": torch.nn.Linear(2, 2), "change": lambda activations: activations}),
    "pulled": lambda: (
        spaces.pulled,
        {"generator": generator(), "captions": ("a red star", "a blue star"), "strength": 0.5, "until": 0.0},
    ),
    "statistics": lambda: (spaces.statistics, {"codes": draw(8, 3)}),
    "watched": lambda: (spaces.watched, {"tokens": 4}),
    "token_positions": lambda: (spaces.token_positions, {"caption": "a red star", "wanted": "red"}),
    "extend": lambda: (
        ll.extend,
        {
            "generator": tiny.generator(),
            "video": clips(1),
            "by": 2,
            "caption": "a red star",
            "windows": "pinned",
            "network": None,
            "seed": 0,
            "num_steps": 1,
            "method": "ddim",
            "guidance": 1.0,
            "batch_size": 1,
        },
    ),
    "inpaint": lambda: (
        ll.inpaint,
        {
            "generator": generator(),
            "video": clips(),
            "mask": torch.eye(16),
            "caption": "a red star",
            "start": 1.0,
            "grow": 1,
            "feather": 1,
            "refine": 1,
            "blend": "match",
            "network": None,
            "seed": 0,
            "sampler": ll.DRAW,
            "num_steps": 1,
            "method": "ddim",
            "guidance": 1.0,
            "batch_size": 1,
            "callback": None,
        },
    ),
    "project": lambda: (
        ll.project,
        {
            "codes": CODES,
            "method": "pca",
            "dims": 2,
            "seed": 0,
            "neighbours": 5,
            "judge": 20,
            "repeats": 2,
            "at_most": None,
        },
    ),
    "project_series": lambda: (
        ll.project_series,
        {
            "steps": [CODES, CODES],
            "method": "pca",
            "dims": 2,
            "seed": 0,
            "neighbours": 5,
            "judge": 20,
            "repeats": 2,
            "at_most": None,
        },
    ),
    "edit_clip": lambda: (
        ll.edit_clip,
        {
            "generator": generator(),
            "clip": clips(1),
            "caption": "a blue star",
            "source": "a red star",
            "method": "flow",
            "seed": 0,
        },
    ),
    "propagate": lambda: (
        ll.propagate,
        {
            "mask": torch.eye(16).expand(1, 1, 4, 16, 16),
            "video": clips(),
            "painted": [0],
            "flow": metrics.still,
            "colour": True,
        },
    ),
    "roundtrip": lambda: (
        ll.roundtrip,
        {
            "generator": generator(),
            "video": clips(),
            "caption": "",
            "sampler": None,
            "num_steps": 2,
            "method": "midpoint",
            "guidance": 1.0,
            "batch_size": 1,
            "distance": None,
        },
    ),
}
