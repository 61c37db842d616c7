"""How disentangled are the spaces, what does each dimension do, and what do six objectives give? One page answers.

    python benchmarks/disentanglement.py --out runs/disentanglement [--jobs 4] [--skip-objectives] [--noise]

The page has the spaces of the shipped models beside their scores; the dimensions of the shipped vector VAE and the
channels of the latents, moved one by one; and vector VAEs trained for six objectives with three seeds each, in a
reduced setting, beside the range that the large study found in the full one. A run that was stopped goes on where it
was: every model and every table of scores is kept in --out.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from latentlab.data import DSprites, MovingShapes, moving_frames, moving_shapes
from latentlab.data.moving.captions import caption
from latentlab.data.moving.dataset import HELD_OUT_SEED, TRAIN_SEED
from latentlab.data.moving.measure import measure
from latentlab.factors import FactorTable
from latentlab.generator.load import load
from latentlab.generator.vector_vae import load_vector_vae
from latentlab.metrics.disentanglement import group_by_axis, score
from latentlab.metrics.perceptual import psnr
from latentlab.record import to_json, write_text
from latentlab.shapes import Codes, Video
from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace, Space, TextSpace, VectorSpace
from latentlab.spaces.space import Described
from latentlab.study.attributes import appearance, likeness
from latentlab.study.information import information
from latentlab.study.perturb import perturb
from latentlab.train.loop import LoopConfig
from latentlab.train.vector_vae import VectorVAETraining, train_vector_vae
from latentlab.view import dimensions, plots
from latentlab.view.report import Player, Report, Section, Strip, Table
from latentlab.weights import fingerprint

# Strengths in the middle of those the study tried.
SIX = {
    "beta-vae": 4.0,
    "annealed-vae": 100.0,
    "factor-vae": 20.0,
    "dip-vae-i": 5.0,
    "dip-vae-ii": 5.0,
    "beta-tcvae": 6.0,
}
METRICS = ("factor_vae", "mig", "dci_d", "sap", "modularity")
WIDE = ("mig", "mig_sup", "dci_mig", "jemmig", "modularity", "med")  # of groups of dims, where trees would take long
# Locatello et al. 2019, dSprites, 300,000 steps, 50 seeds and six strengths: where most models lie, by eye, on figures.
# SAP there is that of linear classifiers, at most 0.25 for a perfect code with so many values.
PUBLISHED = {
    "factor_vae": "0.55 to 0.80", "mig": "0.05 to 0.30", "dci_d": "0.15 to 0.50", "sap": "below 0.10",
    "modularity": "0.75 to 0.95",
}  # fmt: skip
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
        objectives: also train and score the six objectives.
        data: of these, "dsprites" or "moving-shapes".
        seeds, steps, frames: of these; the study took 50 seeds and 300,000 steps.
        jobs: trained at once.
    """

    out: Path = Path("runs/disentanglement")
    vae: Path | None = None
    samples: int = 2000
    clips: int = 16
    noise: bool = False
    objectives: bool = True
    data: str = "dsprites"
    seeds: int = 3
    steps: int = 5000
    frames: int = 8192
    jobs: int = 1


def run(config: Config) -> dict[str, Any]:
    """Makes every table and the page; returns the figures."""
    config = replace(config, out=Path(config.out), vae=config.vae and Path(config.vae))  # text from the command line
    config.out.mkdir(parents=True, exist_ok=True)
    spaces = score_spaces(config)
    done = {"config": asdict(config) | {"out": str(config.out), "vae": str(config.vae)}, "spaces": spaces}
    sections = [spaces_section(spaces), *dimension_sections(config, done)]
    if config.objectives:
        done["objectives"] = train_six(config)
        sections.append(objectives_section(done["objectives"], config))
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
        read, groups = space.unrolled(codes) if rings else (codes, None)
        return scores_of(read, factors, prune=prune, groups=groups) | {"psnr": float(psnr(again, video).mean())}

    # The mean of a dim that the posterior gave up is tiny and still a function of the frame: it spoils the gaps.
    ways: dict[str, dict[str, Any]] = {"frames": {"prune": "constant"}, "active dims": {"prune": INACTIVE}}
    if vae.config.rings:
        ways["rings as circles"] = {"prune": "constant", "rings": True}
    for name, way in ways.items():
        settings = {"weights": fingerprint(vae), "samples": config.samples, **way, **REPEATS}
        found[f"vector VAE, {name}"] = kept(config.out / "scores", "vector", settings, lambda way=way: vector(**way))

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
            return scores_of(codes, factors, WIDE, groups=group_by_axis(space.shape, axis))

        settings = {**space.describe(), "samples": count, "metrics": WIDE, **REPEATS}
        found[name] = kept(config.out / "scores", name.split(",")[0], settings, wide)
    return found


def train_six(config: Config) -> dict[str, list[dict[str, Any]]]:
    """Six objectives, each with several seeds, several at once."""
    jobs = [(name, seed) for seed in range(config.seeds) for name in SIX]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in SIX}
    # Fresh processes: torch's threads do not survive a fork.
    with ProcessPoolExecutor(config.jobs, get_context("spawn")) as pool:
        running = {pool.submit(one_of_six, config, *job): job for job in jobs}
        for done in tqdm(as_completed(running), total=len(jobs), desc="six objectives"):
            found[running[done][0]].append({"seed": running[done][1], **done.result()})
    return {name: sorted(rows, key=lambda row: row["seed"]) for name, rows in found.items()}


def one_of_six(config: Config, objective: str, seed: int) -> dict[str, Any]:
    """One model, trained and scored, or what is known of it."""
    torch.set_num_threads(1)
    loop = LoopConfig(steps=config.steps, batch_size=64, learning_rate=1e-3, seed=seed, workers=0)
    training = VectorVAETraining(objective, SIX[objective], frames=config.frames, loop=loop)
    settings = {"data": config.data, "training": asdict(training)}
    out = config.out / config.data / f"{objective}-{seed}-{digest(settings)}"

    def make() -> dict[str, Any]:
        data = DSprites() if config.data == "dsprites" else MovingShapes(1_000_000, TRAIN_SEED)
        space = VectorSpace(train_vector_vae(data, out, training, device="cpu").requires_grad_(False))
        if isinstance(data, DSprites):
            video, factors = data.draw(config.samples, HELD_OUT_SEED)
        else:
            video, factors = moving_frames(config.samples, HELD_OUT_SEED)
        codes = encoded(space, video)
        again = torch.cat([space.decode(part) for part in codes.split(64)])
        return scores_of(codes, factors, METRICS) | {"psnr": float(psnr(again, video).mean())}

    return kept(out, "scores", {**settings, "samples": config.samples, "metrics": METRICS, **REPEATS}, make)


def digest(settings: dict[str, Any]) -> str:
    """Tells settings apart in the name of a file."""
    return hashlib.sha256(to_json(settings).encode()).hexdigest()[:12]


def kept(folder: Path, name: str, settings: dict[str, Any], make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `make` returned the first time with these settings, all that decides what it returns."""
    path = folder / f"{name}_{digest(settings)}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, to_json(make()) + "\n")
    return json.loads(path.read_text())


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
    like = likeness(lambda video, said: generator.clip.encode_video(video) @ generator.clip.encode_text(said).T, LIKE)
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
        strips.append(Strip([Player(clip, f"{name}, {s:+g} sd") for s, clip in zip(STRENGTHS, walk, strict=True)]))
    drawn = [dimensions.effects(shifted).figure(), dimensions.profiles(shifted).figure()]
    second = Section("Channels of the latents", "All dims of a channel moved together.",
                     [*strips, *drawn, does_table(shifted.rows())])  # fmt: skip
    return [first, second]


def objectives_section(found: dict[str, list[dict[str, Any]]], config: Config) -> Section:
    """Mean over seeds, with the interval that the seeds give."""
    rows = [[name, *[over_seeds([row[m]["value"] for row in rows]) for m in METRICS],
             over_seeds([row["psnr"] for row in rows], 1)] for name, rows in found.items()]  # fmt: skip
    rows.append(["published, dSprites", *[PUBLISHED[m] for m in METRICS], ""])
    note = (
        "Published: where most models lie on the figures of Locatello et al. (2019), by eye; check before citing. "
        "Ours have weights of the code that rise over the first 60 % of the steps, theirs have not. "
        "Their setting is dSprites, 300,000 steps, 50 seeds; a range beside another data set is for orientation alone."
    )
    text = f"{config.data}, {config.seeds} seeds, {config.steps:,} steps; mean and half the 95 % interval over seeds."
    return Section("Six objectives", text, [Table(["objective", *METRICS, "PSNR (dB)"], rows, note)],
                   "Compare how far seeds are apart with how far objectives are.")  # fmt: skip


def over_seeds(values: list[float], decimals: int = 2) -> str:
    """Mean with half of Student's interval."""
    from scipy.stats import t

    if len(values) < 2:
        return f"{values[0]:.{decimals}f}"
    half = float(t.ppf(0.975, len(values) - 1)) * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):.{decimals}f} ± {half:.{decimals}f}"


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Config.out)
    parser.add_argument("--vae", type=Path, help="folder of a vector VAE (default: the shipped one)")
    parser.add_argument("--data", choices=("dsprites", "moving-shapes"), default=Config.data)
    for name in ("samples", "clips", "seeds", "steps", "frames", "jobs"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Config, name))
    parser.add_argument("--noise", action="store_true", help="score the noise and h-space too")
    parser.add_argument("--skip-objectives", dest="objectives", action="store_false")
    print(to_json(run(Config(**vars(parser.parse_args())))))
