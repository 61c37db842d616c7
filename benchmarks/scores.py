"""Are the scores those of others, and how fast? Distances of sets, LPIPS, SSIM, VBench; a folder of many clips.

python benchmarks/scores.py [--only frechet,same,merge,vbench,folder] [--clips 1000]

The network under LPIPS is drawn at random here: the question is whether both compute the same on the same network.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange

from latentlab.bench.flags import main
from latentlab.bench.timing import seconds_of
from latentlab.data import moving_shapes
from latentlab.metrics import perceptual
from latentlab.metrics.frechet import Moments, frechet
from latentlab.metrics.kernel import kernel_distance
from latentlab.metrics.published import temporal_flickering
from latentlab.video import to_uint8, write

ALONE = True


@dataclass(frozen=True)
class Config:
    """What to measure."""

    only: tuple[str, ...] = ("frechet", "same", "merge", "vbench", "folder")
    dim: int = 2048
    few: int = 512
    many: int = 4096
    clips: int = 1000
    seed: int = 0


def run(config: Config) -> dict:
    """Measures and returns the figures, each beside its bar."""
    parts = {"frechet": distances, "same": same, "merge": merge, "vbench": vbench, "folder": folder}
    return {**{name: parts[name](config) for name in config.only}}


def distances(config: Config) -> dict:
    """Frechet distance of `few` and of `many` samples against the matrix square root of peers."""
    bars = {config.few: 50, config.many: 3}
    rows = {}
    for n, bar in bars.items():
        a, b = normal(n, config.dim, seed=1), 1.1 * normal(n, config.dim, seed=2) + 0.05
        ours, seconds = timed(lambda a=a, b=b: frechet(a, b), repeats=3)
        theirs, long, branch = by_square_root(a, b)
        rows[f"n = {n}, dim = {config.dim}"] = {
            "relative_difference": abs(ours - theirs) / theirs, "bar": 1e-5,
            "times_faster": round(long / seconds, 1), "bar_times_faster": bar,
            "seconds": round(seconds, 3), "seconds_of_the_square_root": round(long, 2), "square_root": branch,
        }  # fmt: skip
    return rows


def by_square_root(a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, str]:
    """As peers compute it from features: covariances, then scipy's square root of their product.

    Where that is not finite they add 1e-6 to the diagonals and take it again. Seconds are those of the covariances and
    of the one root that gave the answer; which one it was is said.
    """
    from scipy import linalg

    x, y = a.numpy(), b.numpy()
    began = time.perf_counter()
    c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    before, branch = time.perf_counter() - began, "plain"
    root, seconds = timed_root(linalg.sqrtm, c1 @ c2)
    if not np.isfinite(root).all():
        branch, offset = "1e-6 on the diagonals, the plain one was not finite", 1e-6 * np.eye(len(c1))
        root, seconds = timed_root(linalg.sqrtm, (c1 + offset) @ (c2 + offset))
    distance = ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c1) + np.trace(c2) - 2 * np.trace(root).real
    return float(distance), before + seconds, branch


def timed_root(sqrtm: Callable, product: np.ndarray) -> tuple[np.ndarray, float]:
    """The square root and the seconds it took, its warnings about singular matrices left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(lambda: np.asarray(sqrtm(product)), repeats=1)


def same(config: Config) -> dict[str, dict]:
    """Largest difference from the lpips package and torchmetrics on the same input."""
    from lpips import LPIPS
    from torchmetrics.functional.image import structural_similarity_index_measure
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.kid import poly_mmd

    video, _ = moving_shapes(4, seed=config.seed)
    other = (video + 0.2 * torch.randn(video.shape, generator=torch.Generator().manual_seed(config.seed))).clamp(-1, 1)
    frames = [rearrange(clip, "b c f h w -> (b f) c h w") for clip in (video, other)]
    count = video.shape[2]
    gaps = {}
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder, torch.no_grad():
        warnings.simplefilter("ignore")
        for net in ("alex", "squeeze"):
            torch.manual_seed(config.seed)
            theirs = LPIPS(net=net, pnet_rand=True, verbose=False)
            path = Path(folder) / f"{net}.pth"
            named = theirs.net.named_parameters()
            torch.save({f"features.{name.split('.', 1)[1]}": value.data for name, value in named}, path)
            perceptual.BACKBONES[net] = f"{net}-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth"
            expected = torch.as_tensor(theirs(*frames)).view(-1, count).mean(1)
            gaps[f"LPIPS {net}"] = perceptual.lpips(video, other, net=net, weights=path) - expected
    index = structural_similarity_index_measure(frames[0], frames[1], data_range=2.0, reduction="none")
    gaps["SSIM"] = perceptual.ssim(video, other) - torch.as_tensor(index).view(-1, count).mean(1)
    a, b = normal(600, 64, seed=1), 1.2 * normal(500, 64, seed=2) + 0.3
    theirs = _compute_fid(a.mean(0), torch.cov(a.T), b.mean(0), torch.cov(b.T))
    gaps["FID"] = torch.tensor(frechet(a, b)) - theirs
    gaps["KID"] = torch.tensor(kernel_distance(a[:500], b)) - poly_mmd(a[:500], b)
    return {name: {"difference": float(gap.abs().max()), "bar": 1e-5} for name, gap in gaps.items()}


def merge(config: Config) -> dict[str, float]:
    """Largest relative difference of seven shards merged in twenty orders from the whole, mean far from 0."""
    x = 3 * normal(2000, 64, seed=config.seed) + 100
    shards, whole, worst = [Moments.of(part) for part in x.tensor_split(7)], Moments.of(x), 0.0
    for i in range(20):
        order = np.random.default_rng([config.seed, i]).permutation(7)
        merged = shards[order[0]]
        for k in order[1:]:
            merged = merged + shards[k]
        for ours, theirs in ((merged.mean, whole.mean), (merged.covariance, whole.covariance)):
            worst = max(worst, float((ours - theirs).abs().max() / theirs.abs().max()))
    return {"relative_difference": worst, "bar": 1e-12}


def vbench(config: Config) -> dict[str, float]:
    """VBench's temporal_flickering as its code computes it, on 64 frames of 256 x 256."""
    import cv2

    clip = torch.rand(1, 3, 64, 256, 256, generator=torch.Generator().manual_seed(config.seed)) * 2 - 1
    pictures = to_uint8(clip)
    frames = list(pictures[0, ..., ::-1])

    def theirs() -> float:
        changes = [
            np.mean(cv2.absdiff(np.array(a, dtype=np.float32), np.array(b, dtype=np.float32)))
            for a, b in pairwise(frames)
        ]
        return (255.0 - np.mean(np.array(changes)).item()) / 255.0

    expected, long = timed(theirs)
    ours, seconds = timed(lambda: temporal_flickering(pictures))
    from_float, seconds_float = timed(lambda: temporal_flickering(clip))
    return {
        "difference": max(abs(ours.item() - expected), abs(from_float.item() - expected)), "bar": 1e-6,
        "times_faster": round(long / seconds, 1), "bar_times_faster": 3,
        "times_faster_from_float_clips": round(long / seconds_float, 1),
    }  # fmt: skip


def folder(config: Config) -> dict[str, float]:
    """`latentlab score` on a folder, alone and against another: memory at a tenth and all of the clips, and of a pair.

    The pair is of 16 frames of 720 x 1280, where the measures of pairs would show if they held more than a frame.
    """
    shapes, _ = moving_shapes(8, seed=config.seed)
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        for i, video in enumerate(shapes.split(1)):
            write(root / f"{i}.mp4", video[:, :, :8])
        for count in (config.clips // 10, config.clips):
            clips = root / str(count)
            clips.mkdir()
            for i in range(count):
                shutil.copyfile(root / f"{i % 8}.mp4", clips / f"{i}.mp4")
            (clips / "broken.mp4").write_bytes(b"no video")
            for against in ((), ("--against", str(clips), "--bootstrap", "2")):
                for attempt in ("fresh", "again"):
                    began = time.perf_counter()
                    out = str(root / f"out{count}{len(against)}")
                    named, peak = in_another_process("score", str(clips), *against, "--out", out)
                    what = f"{count} clips{' against as many' if against else ''}, {attempt}"
                    figures[f"{what}: seconds"] = round(time.perf_counter() - began, 1)
                    figures[f"{what}: peak MiB"] = peak
                    if not named:
                        raise RuntimeError("the broken file was not named")
        large = torch.nn.functional.interpolate(shapes[:2], (16, 720, 1280), mode="nearest")
        for i, video in enumerate(large.split(1)):
            write(root / f"large{i}.mp4", video)
        pair = [str(root / f"large{i}.mp4") for i in range(2)]
        for what, against in (("a clip of 720 x 1280", ()), ("a pair of 720 x 1280", ("--against", pair[1]))):
            _, figures[f"{what}: peak MiB"] = in_another_process(
                "score", pair[0], *against, "--out", str(root / f"large{len(against)}")
            )
    return figures


def in_another_process(*arguments: str) -> tuple[bool, float]:
    """Whether the output names the broken file, and the peak memory in MiB."""
    code = "import resource, sys; from latentlab.cli import main; code = main(sys.argv[1:]); "
    code += "sys.stderr.write(f'peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}'); sys.exit(code)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return "broken.mp4: " in done.stdout, float(done.stderr.rsplit("peak ", 1)[1])


def normal(*shape: int, seed: int) -> torch.Tensor:
    """Standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def timed(compute: Callable, repeats: int = 7) -> tuple:
    """What it returns, and the least seconds it took."""
    found: list[Any] = []
    taken = seconds_of(lambda: found.append(compute()), repeats)
    return found[-1], min(taken.clock)


if __name__ == "__main__":
    main(run)
