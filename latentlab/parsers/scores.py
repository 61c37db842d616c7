"""Commands that measure clips and models."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from latentlab.asked import add_model
from latentlab.names import MemoryJob
from latentlab.parsers.options import LABELS, Asking, command, height_and_width, model_options, positive

JOBS = get_args(MemoryJob)


def add_flicker(commands) -> Asking:
    p = command(
        commands,
        "flicker",
        "How much clips flicker, in 8-bit levels.",
        "latentlab flicker a.mp4 b.mp4 --json",
        out="",
        seed=False,
        device=False,
    )
    yield p
    p.add_argument("videos", nargs="+", metavar="CLIP", help="video files or folders of images")


def add_score(commands) -> Asking:
    p = command(
        commands,
        "score",
        "Clips scored one by one, and as a set against a reference; goes on where it was stopped.",
        "latentlab score generated/ --against real/ --out score/",
        out="score",
    )
    yield p
    p.add_argument("clips", nargs="+", metavar="CLIP", help="video files, folders of images, or folders of videos")
    p.add_argument("--against", nargs="+", default=[], metavar="REF", help="reference clips; equal names are paired")
    p.add_argument(
        "--features",
        default="reader-td",
        help="reader-td, i3d=FILE, videomae=FILE, inception=FILE (default: reader-td)",
    )
    p.add_argument("--trust", action="store_true", help="run a FILE of features that is not the published one")
    p.add_argument("--bootstrap", type=positive(int), help="draws for intervals (default: 100)")


def add_coverage(commands) -> Asking:
    p = command(
        commands,
        "coverage",
        "What a model of moving shapes never draws, or too often, under captions that leave it open.",
        'latentlab coverage "" "a star" --count 64 --out coverage.json',
        out="coverage.json",
    )
    yield p
    p.add_argument("captions", nargs="*", metavar="CAPTION", help='(default: "", everything)')
    p.add_argument("--count", type=positive(int), default=64, help="clips for each (default: 64)")
    p.add_argument("--steps", type=positive(int), default=25, help="solver steps (default: 25)")
    p.add_argument("--guidance", type=float, help="weight of the caption (default: as shipped)")
    add_model(p, positive(int), negative=True)


def add_memory(commands) -> Asking:
    p = command(
        commands,
        "memory",
        "How much memory jobs will take, read off shapes before anything is computed.",
        "latentlab memory --model wan-folder --num-frames 81 --size 480x832 --dtype bfloat16 --tiling\n"
        "  latentlab memory --job decode --clips 8",
        out="",
        seed=False,
    )
    yield p
    from latentlab.generator.sampler import EDIT

    p.add_argument("--job", action="append", metavar="NAME", choices=JOBS, help=f"{', '.join(JOBS)} (default: all)")
    p.add_argument("--clips", type=positive(int), default=1, help="that are computed together (default: 1)")
    model_options(p, replace(EDIT, guidance=None))


def add_bench(commands) -> Asking:
    p = command(
        commands,
        "bench",
        "Runs the scripts of benchmarks/, keeps their answers, and writes one page; or compares two such folders.",
        "latentlab bench inversion edits --repeats 3 --out bench/new\n"
        "  latentlab bench inversion --set inversion.clips=4 --out bench/small\n"
        "  latentlab bench --model wan-folder --num-frames 17 --size 128x208 --labels mine.csv\n"
        "  latentlab bench --compare bench/old bench/new --out bench/changes",
        out="bench",
        device=False,
    )
    yield p
    p.add_argument("names", nargs="*", metavar="NAME", help="scripts (default: all)")
    p.add_argument("--scripts", metavar="FOLDER", help="where they are (default: benchmarks/ of the checkout)")
    p.add_argument("--model", metavar="FOLDER", help="of every script that takes one (default script: any_model)")
    p.add_argument("--num-frames", type=positive(int), help="of a clip of a pipeline")
    p.add_argument("--size", type=height_and_width, metavar="HxW", help="height and width of a clip of a pipeline")
    p.add_argument("--labels", metavar="TABLE|FOLDER", help=LABELS)
    p.add_argument("--set", action="append", default=[], metavar="NAME.FIELD=VALUE", help="a setting of a script")
    p.add_argument("--repeats", type=positive(int), help="two or more give intervals (default: 1)")
    p.add_argument("--jobs", type=positive(int), help="processes at a time (default: 1)")
    p.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"), help="folders written by --out; runs nothing")


def add_why(commands) -> Asking:
    p = command(
        commands,
        "why",
        "Why a caption was not obeyed: for each word the stage at which it was lost, and what to do.",
        'latentlab why "a large red star moving left on a blue background"\n'
        '  latentlab why "a red star" --video star.mp4 --training captions.txt',
        out="why.json",
    )
    yield p
    p.add_argument("caption", metavar="CAPTION", help="what was asked for")
    p.add_argument("--video", metavar="CLIP", help="what came of it (default: it is drawn)")
    p.add_argument("--training", metavar="FILE", help="captions of the training set, one a line, to count words in")
    p.add_argument(
        "--adapter", action="append", default=[], metavar="FILE[=STRENGTH]", help="that is put on; several add up"
    )
    add_model(p, positive(int), negative=True)
    p.add_argument("--steps", type=positive(int), default=25, help="solver steps (default: 25)")
