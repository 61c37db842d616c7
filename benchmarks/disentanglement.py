"""How disentangled are the spaces, and what does each dimension do? One page answers.

    python benchmarks/disentanglement.py --out runs/disentanglement [--noise]

The page has the spaces of the shipped models beside their scores, and the dimensions of the shipped vector VAE and the
channels of the latents, moved one by one. A run that was stopped goes on where it was: every table of scores is kept
in --out. `objectives.py` beside it trains vector VAEs for six objectives.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.bench.flags import main
from latentlab.bench.kept import kept_answer
from latentlab.data import moving_frames, moving_shapes
from latentlab.data.moving.captions import caption
from latentlab.data.moving.dataset import HELD_OUT_SEED
from latentlab.data.moving.measure import measure
from latentlab.dimensions import page as dimensions
from latentlab.dimensions.mutual_information import information
from latentlab.dimensions.perturbation import perturb
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.generator.vector_vae import load_vector_vae
from latentlab.metrics.disentanglement import group_by_axis, score
from latentlab.metrics.perceptual import psnr
from latentlab.record import to_json
from latentlab.shapes import Codes, Video
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace, Space, TextSpace, VectorSpace
from latentlab.spaces.space import Described
from latentlab.store import write_text
from latentlab.study.attributes import appearance, likeness
from latentlab.view import plots
from latentlab.view.report import Player, Report, Section, Strip, Table
from latentlab.weights import fingerprint

WIDE = ("mig", "mig_sup", "dci_mig", "jemmig", "modularity", "med")  # of groups of dims, where trees would take long
REPEATS = {"null": 5, "bootstrap": 20}
LIKE = ("a circle", "a square", "a star", "a red star", "a large circle")  # captions that clips are compared with
INACTIVE = 0.1  # dims whose spread is at most this share of the largest
STRENGTHS = (-2.0, -1.0, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Config:
    """What to measure.

    Args:
        out: folder of models, scores and the page.
        vae: folder of the vector VAE that stands for the shipped one; None is that.
        samples: that scores are made of.
        clips: that dims are moved in.
        noise: also score the noise and h-space, whose inversion takes long.
    """

    out: Path = Path("runs/disentanglement")
    vae: Path | None = None
    samples: int = 2000
    clips: int = 16
    noise: bool = False

    def __post_init__(self) -> None:
        if self.samples < 50 or self.clips < 2:
            raise ValueError(f"scores need 50 samples, and a spread of codes 2 clips; got {self.samples}, {self.clips}")


def run(config: Config) -> dict[str, Any]:
    """Makes every table and the page; returns the figures."""
    config = replace(config, out=Path(config.out), vae=config.vae and Path(config.vae))  # text from the command line
    config.out.mkdir(parents=True, exist_ok=True)
    spaces = score_spaces(config)
    done = {"config": asdict(config) | {"out": str(config.out), "vae": str(config.vae)}, "spaces": spaces}
    sections = [spaces_section(spaces), *dimension_sections(config, done)]
    lead = "Scores of codes against known factors, each beside the level that chance reaches and a 95 % interval."
    Report("Disentanglement", lead, sections).save(config.out / "disentanglement.html")
    write_text(config.out / "disentanglement.json", to_json(done) + "\n")
    return done


def score_spaces(config: Config) -> dict[str, Any]:
    """Every space by the metrics that suit the width of its codes."""
    vae = load_vector_vae(config.vae)
    found = {}

    def vector(prune: float | str, rings: bool = False) -> dict[str, Any]:
        video, factors = moving_frames(config.samples, HELD_OUT_SEED, progress=True)
        space = VectorSpace(vae)
        codes = encoded(space, video)
        again = torch.cat([space.decode(part) for part in codes.split(64)])
        read, units = space.unrolled(codes) if rings else (codes, None)
        return scores_of(read, factors, prune=prune, units=units) | {"psnr": float(psnr(again, video).mean())}

    # The mean of a dim that the posterior gave up is tiny and still a function of the frame: it spoils the gaps.
    ways: dict[str, dict[str, Any]] = {"frames": {"prune": "constant"}, "active dims": {"prune": INACTIVE}}
    if vae.config.rings:
        ways["rings as circles"] = {"prune": "constant", "rings": True}
    for name, way in ways.items():
        settings = {"weights": fingerprint(vae), "samples": config.samples, **way, **REPEATS}
        found[f"vector VAE, {name}"] = kept_answer(
            config.out / "scores", "vector", settings, lambda way=way: vector(**way)
        )

    generator, few, fewest = load(), max(50, config.samples // 4), max(50, config.samples // 16)
    spaces: dict[str, tuple[Described, int, int]] = {  # space, axis of its groups, samples
        "latents, by channel": (LatentSpace(generator), 0, few),
        "text, by token": (TextSpace(generator), 0, few),
    }
    if config.noise:
        spaces["noise, by channel"] = NoiseSpace(generator), 0, fewest
        spaces["h-space, by channel"] = BottleneckSpace(generator), 1, fewest
    for name, (space, axis, count) in spaces.items():

        def wide(space: Described = space, axis: int = axis, count: int = count) -> dict[str, Any]:
            video, factors = moving_shapes(count, HELD_OUT_SEED)
            said = [caption(row) for row in factors.values]
            codes = space.encode_captions(said) if isinstance(space, TextSpace) else encoded(space, video)
            return scores_of(codes, factors, WIDE, units=group_by_axis(space.shape, axis))

        settings = {**space.describe(), "samples": count, "metrics": WIDE, **REPEATS}
        found[name] = kept_answer(config.out / "scores", name.split(",")[0], settings, wide)
    return found


def scores_of(codes: Codes, factors: FactorTable, metrics: str | tuple[str, ...] = "core", **options) -> dict[str, Any]:
    """Value, null level, adjusted value and interval of each metric."""
    found = score(codes, factors, metrics, **REPEATS, progress=False, **options)
    return {
        name: {"value": s.value, "null": s.null, "adjusted": s.adjusted, "ci": s.ci, "per_factor": s.per_factor}
        for name, s in found.items()
    }


@torch.no_grad()
def encoded(space: Space, video: Video) -> Codes:
    """Codes of many clips."""
    return torch.cat([space.encode(part) for part in tqdm(video.split(64), desc="encoding")])


def spaces_section(spaces: dict[str, Any]) -> Section:
    """A table a space, a row a metric."""
    tables = []
    for space, scores in spaces.items():
        rows = [
            [name, f"{s['value']:.3f}", f"{s['null']:.3f}", f"{s['adjusted']:.3f}", interval(s["ci"])]
            for name, s in scores.items()
            if isinstance(s, dict)
        ]
        quality = f"; mean PSNR of reconstructions {scores['psnr']:.1f} dB" if "psnr" in scores else ""
        note = f"{space[0].upper()}{space[1:]}{quality}."
        tables.append(Table([space, "value", "chance", "adjusted", "95 % of adjusted"], rows, note))
    return Section("Spaces", "Frames and clips of moving shapes that no model was trained on.", tables,
                   "Adjusted is 0 for codes that know nothing and 1 for perfect ones.")  # fmt: skip


def dimension_sections(config: Config, done: dict[str, Any]) -> list[Section]:
    """What each dim of the vector VAE and each channel of the latents does and knows."""
    generator = load()
    vector, latent = VectorSpace(load_vector_vae(config.vae)), LatentSpace(generator)
    frames, factors = moving_frames(config.samples, HELD_OUT_SEED + 1)
    codes = encoded(vector, frames)
    moved = perturb(vector, frames[: config.clips], measures=(appearance,), scale=codes.std(0))
    known = information(codes, factors, null=10)
    done["dimensions"] = {"does": moved.rows(), "knows": known.rows()}
    pictures = {}
    for j in range(codes.shape[1]):
        step = torch.zeros(codes.shape[1])
        step[j] = codes[:, j].std()
        pictures[str(j)] = vector.decode(codes[:1] + torch.tensor(STRENGTHS)[:, None] * step)
    charts = [plots.traversal(pictures, STRENGTHS), dimensions.effects(moved), dimensions.maps(moved)]
    charts += [dimensions.knowledge(known)] if known.real.any() else []
    parts = [chart.figure() for chart in charts]
    first = Section("Dimensions of the vector VAE", "Each dim moved from -2 to 2 standard deviations of its codes.",
                    [*parts, does_table(moved.rows()), knows_table(known.rows())])  # fmt: skip

    clips, _ = moving_shapes(config.clips, HELD_OUT_SEED + 2)
    channels = {f"channel {c}": np.flatnonzero(group_by_axis(latent.shape, 0) == c) for c in range(latent.shape[0])}
    like = likeness(
        lambda video, said: generator.clip_model.encode_video(video) @ generator.clip_model.encode_text(said).T, LIKE
    )
    units = {n: at.tolist() for n, at in channels.items()}
    shifted = perturb(latent, clips, units, measures=(measure, appearance, like))
    done["channels"] = shifted.rows()
    start = latent.encode(clips[:1])
    spread = latent.encode(clips).std(0)
    strips = []
    for name, at in channels.items():
        step = torch.zeros_like(spread)
        step[at] = spread[at]
        walk = [latent.decode(start + s * step) for s in STRENGTHS]
        strips.append(Strip([Player(clip, f"{name}, {s:+g} sd" if s else "unmoved")
                             for s, clip in zip(STRENGTHS, walk, strict=True)]))  # fmt: skip
    drawn = [dimensions.effects(shifted).figure(), dimensions.profiles(shifted).figure()]
    second = Section("Channels of the latents", "All dims of a channel moved together.",
                     [*strips, *drawn, does_table(shifted.rows())])  # fmt: skip
    return [first, second]


def does_table(rows: list[dict[str, Any]]) -> Table:
    """Rows of `Perturbation` without its attributes, which the figure has."""
    columns = ("unit", "acts", "level", "extent", "moving")
    heads = ["unit", "acts", "change (levels)", "share of the picture", "share that moves"]
    return Table(heads, [[row[c] for c in columns] for row in rows])


def knows_table(rows: list[dict[str, Any]]) -> Table:
    """Rows of `Information`."""
    heads = ["attribute", "best dims", "fewest that carry it", "explained", "by all"]
    return Table(heads, [
        [row["attribute"], ", ".join(f"{unit} ({share:.2f})" for unit, share in row["ranked"][:3]) or "none",
         ", ".join(row["carriers"]) or "none", row["explained"], row["ceiling"]]
        for row in rows
    ])  # fmt: skip


def interval(ci: list[float] | None) -> str:
    """As text."""
    return "" if ci is None else " to ".join(f"{round(end, 3) + 0.0:.3f}" for end in ci)


if __name__ == "__main__":
    main(run)
