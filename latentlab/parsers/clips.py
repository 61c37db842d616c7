"""Commands that make clips, and carry them to latents and noise and back."""

from __future__ import annotations

from typing import get_args

from latentlab.asked import add_model
from latentlab.names import Joined, LevelsFor, Where
from latentlab.parsers.options import LABELS, Asking, command, model_options, positive

WINDOWS = get_args(Joined)


def add_tour(commands) -> Asking:
    p = command(
        commands,
        "tour",
        "See everything once: generate, invert, interpolate, edit, measure; ends with tour/report.html.",
        "latentlab tour --video my.mp4 --out tour/",
        out="tour",
    )
    yield p
    p.add_argument("--video", metavar="CLIP", help="your own clip to take apart (default: one of moving shapes)")
    p.add_argument("--labels", metavar="TABLE|FOLDER", help=LABELS)
    p.add_argument("--steps", type=positive(int), default=25, help="solver steps (default: 25)")
    add_model(p, positive(int))


def add_generate(commands) -> Asking:
    p = command(
        commands,
        "generate",
        "Clips from captions, or images of a class.",
        'latentlab generate "a large red star moving left" --out star.mp4\n'
        '  latentlab generate "a red star" --control mask=mask.png\n'
        "  latentlab generate --model runs/fashion/generator --class sneaker --class bag --out images",
        out="generated.mp4",
    )
    yield p
    from latentlab.generator.sampler import DRAW

    p.add_argument("captions", nargs="*", metavar="CAPTION", help="one clip for each; several go to --out as a folder")
    p.add_argument(
        "--class", dest="classes", action="append", metavar="NAME", help="for a model of images; one for each"
    )
    p.add_argument("--num-frames", type=positive(int), help="of each clip, also more than the model's own (default)")
    p.add_argument(
        "--windows", choices=WINDOWS, default="keyframes", help="how a longer clip is joined (default: keyframes)"
    )
    p.add_argument("--churn", type=float, default=0.0, help="fresh noise a step, 0 (DDIM) to 1 (DDPM); default: 0")
    p.add_argument(
        "--adapter", action="append", default=[], metavar="FILE[=STRENGTH]", help="that is put on; several add up"
    )
    p.add_argument(
        "--control",
        action="append",
        default=[],
        metavar="KIND=FILE",
        help="mask, sketch, box, flow, classes or depth to follow; KIND=FILE=STRENGTH@HIGH-LOW says how strongly, and "
        "between which flow times",
    )
    p.add_argument(
        "--control-network",
        metavar="RUN",
        help="that latentlab train control wrote (default: the one that ships with the model, if one does); of a "
        "pipeline, the folder of a ControlNet (default: its own)",
    )
    p.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="FILE[=WEIGHT]",
        help="image to look at, several add up",
    )
    reference = "that latentlab train reference wrote (default: the one that ships with the model, if one does)"
    p.add_argument("--reference-network", metavar="RUN", help=reference)
    p.add_argument(
        "--words",
        choices=get_args(Where),
        default="velocity",
        help='where "a (large:1.5) [red] star|circle@0.6" weighs its words (default: velocity)',
    )
    model_options(p, DRAW, length=False, own_steps=True)


def add_encode(commands) -> Asking:
    p = command(
        commands,
        "encode",
        "The latents of a clip, and how well they give it back.",
        "latentlab encode my.mp4 --out latents.safetensors",
        out="latents.safetensors",
        seed=False,
    )
    yield p
    p.add_argument("video", metavar="CLIP", help="video file or folder of images; fitted to the model, saying how")
    add_model(p, positive(int))


def add_invert(commands) -> Asking:
    p = command(
        commands,
        "invert",
        "The noise from which the model draws a clip, and the error of the round trip.",
        "latentlab invert my.mp4 --steps 25 --out noise.safetensors",
        out="noise.safetensors",
    )
    yield p
    from latentlab.generator.sampler import ANALYSE

    p.add_argument("video", metavar="CLIP", help="video file or folder of images")
    p.add_argument("--caption", default="", help='what the clip shows (default: "", nothing said)')
    p.add_argument(
        "--levels",
        choices=get_args(LevelsFor),
        help="for noise to be read, near the true encoding, or to be sampled back (default: what suits the method)",
    )
    p.add_argument(
        "--estimate", action="store_true", help="say how far the noise is from the true encoding, at thrice the calls"
    )
    model_options(p, ANALYSE)


def add_interpolate(commands) -> Asking:
    p = command(
        commands,
        "interpolate",
        "Clips between two clips.",
        "latentlab interpolate a.mp4 b.mp4 --path slerp --space noise --points 5 --out path/",
        out="path",
    )
    yield p
    from latentlab.generator.sampler import ANALYSE

    p.add_argument("first", metavar="CLIP", help="from")
    p.add_argument("last", metavar="CLIP", help="to")
    p.add_argument(
        "--path", choices=("lerp", "slerp"), default="slerp", help="straight, or along the sphere (default: slerp)"
    )
    p.add_argument("--space", choices=("latent", "noise"), default="noise", help="where to walk (default: noise)")
    p.add_argument(
        "--spacing",
        choices=("parameter", "uniform"),
        default="parameter",
        help="even steps of the path, or of what is seen, at a hundred clips more (default: parameter)",
    )
    p.add_argument("--points", type=positive(int, least=2), default=5, help="clips, ends included (default: 5)")
    model_options(p, ANALYSE, told=False)


def add_extend(commands) -> Asking:
    p = command(
        commands,
        "extend",
        "A clip that goes on: more frames after its last, drawn by windows that reach into it.",
        'latentlab extend my.mp4 --by 48 --caption "a red star moving left slowly" --out longer.mp4',
        out="extended.mp4",
    )
    yield p
    from latentlab.generator.sampler import DRAW

    p.add_argument("video", metavar="CLIP", help="video file or folder of images; fitted to the model, saying how")
    p.add_argument("--by", type=positive(int), required=True, help="frames more")
    p.add_argument("--caption", default="", help='what the clip shows (default: "", nothing said)')
    p.add_argument("--windows", choices=WINDOWS, default="keyframes", help="how they are joined (default: keyframes)")
    p.add_argument(
        "--known-region",
        nargs="?",
        const="shipped",
        metavar="RUN",
        help="windows follow one another, each told the last, by the network of latentlab train known-region (no RUN: "
        "the one that ships)",
    )
    model_options(p, DRAW)
