"""What the command line takes: a parser for each command. Nothing here loads torch, so that help is instant."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable

from latentlab import __version__
from latentlab.asked import add_model
from latentlab.generator.methods import METHODS

EPILOG = """\
Every command takes --out, --json and --traceback; those that draw take --seed, those that compute with a network
--device. `latentlab COMMAND --help` shows an example.
"""
# Those of train, which would load torch.
NETWORKS = ("adapter", "autoencoder", "clip", "denoiser", "edits", "reader", "vector-vae")
# Those of train.objectives, likewise.
OBJECTIVES = ("autoencoder", "beta-vae", "annealed-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii")
# Those of generator.objective, likewise: what a denoiser of pictures is asked for.
ANSWERS = ("ddpm", "x0", "v", "flow", "edm")
# Those of generator.windows, likewise.
WINDOWS = ("keyframes", "average", "shuffled", "pinned")
TRAINING = """\
Train a network; a run that was stopped goes on when the same command is given again.

A generator is three networks, trained in this order: the autoencoder turns frames into latents and back, clip learns
which caption fits which clip, the denoiser learns to make latents under captions and needs the other two. Its run
writes a folder `generator` that `--model` of the other commands reads. The reader reads factors off moving shapes;
edits changes latents of these factor by factor and needs the autoencoder; the vector-vae has one short code for a clip
and needs no other network.

Your own videos: --data FOLDER takes all of it, subfolders too. clip.txt beside clip.mp4 is its caption. Videos are
scaled and cropped to --size, and windows of --num-frames are cut at random, as many as there are different ones (but
see --clips). Files that cannot be read are named, counted and left out.

Pictures with a class, no autoencoder and no captions: train denoiser --data fashion-mnist --objective ddpm --classes;
or --data digits, or a folder of idx files or of a folder for each class, which --classes tells from one of videos.

Runs of a few steps show whether all fits: --steps 20 --clips 64.
"""
FORMAT = argparse.RawDescriptionHelpFormatter


class _Parser(argparse.ArgumentParser):
    """Bad input is one clear line and exit code 2."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = _Parser(
        prog="latentlab",
        description="Look into the latent space of a video generator.",
        epilog=EPILOG,
        formatter_class=FORMAT,
    )
    top.add_argument("--version", "-V", action="version", version=f"latentlab {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for add in (
        _tour,
        _generate,
        _encode,
        _invert,
        _interpolate,
        _edit,
        _directions,
        _replay,
        _extend,
        _inpaint,
        _flicker,
        _score,
        _bench,
        _train,
        _why,
    ):
        add(commands)
    return top


def _command(
    commands, name: str, summary: str, example: str, *, out: str, seed: bool = True, device: bool = True
) -> argparse.ArgumentParser:
    p = commands.add_parser(
        name, help=summary, description=summary, epilog=f"example:\n  {example}", formatter_class=FORMAT
    )
    p.add_argument("--out", default=out or None, metavar="PATH", help=f"where to write (default: {out or 'nowhere'})")
    if seed:
        p.add_argument("--seed", type=_seed, default=0, help="of all randomness (default: 0)")
    if device:
        p.add_argument("--device", default="auto", help="auto, cpu, cuda, mps (default: auto, a GPU if there is one)")
    p.add_argument("--json", action="store_true", help="print the result as JSON")
    p.add_argument("--traceback", action="store_true", help="of an error, show where it was raised")
    return p


def _model_options(
    p: argparse.ArgumentParser,
    *,
    method: str = "midpoint",
    guidance: float | None = 1.0,
    told: bool = True,
    length: bool = True,
) -> None:
    add_model(p, _positive(int), told=told, length=length)
    p.add_argument("--steps", type=_positive(int), default=25, help="solver steps (default: 25)")
    p.add_argument("--method", choices=METHODS, default=method, help=f"solver (default: {method})")
    shown = "as shipped" if guidance is None else guidance
    p.add_argument("--guidance", type=float, default=guidance, help=f"weight of the caption (default: {shown})")


def _tour(commands) -> None:
    p = _command(
        commands,
        "tour",
        "See everything once: generate, invert, interpolate, edit, measure; ends with tour/report.html.",
        "latentlab tour --video my.mp4 --out tour/",
        out="tour",
    )
    p.add_argument("--video", metavar="CLIP", help="your own clip to take apart (default: one of moving shapes)")
    p.add_argument("--steps", type=_positive(int), default=25, help="solver steps (default: 25)")
    add_model(p, _positive(int))


def _generate(commands) -> None:
    p = _command(
        commands,
        "generate",
        "Clips from captions, or images of a class.",
        'latentlab generate "a large red star moving left" --out star.mp4\n'
        "  latentlab generate --model runs/fashion/generator --class sneaker --class bag --out images",
        out="generated.mp4",
    )
    p.add_argument("captions", nargs="*", metavar="CAPTION", help="one clip for each; several go to --out as a folder")
    p.add_argument(
        "--class", dest="classes", action="append", metavar="NAME", help="for a model of images; one for each"
    )
    p.add_argument("--num-frames", type=_positive(int), help="of each clip, also more than the model's own (default)")
    p.add_argument(
        "--windows", choices=WINDOWS, default="keyframes", help="how a longer clip is joined (default: keyframes)"
    )
    p.add_argument("--churn", type=float, default=0.0, help="fresh noise a step, 0 (DDIM) to 1 (DDPM); default: 0")
    p.add_argument(
        "--adapter", action="append", default=[], metavar="FILE[=STRENGTH]", help="that is put on; several add up"
    )
    p.add_argument(
        "--words",
        choices=("velocity", "embedding", "attention"),
        default="velocity",
        help='where "a (large:1.5) [red] star|circle@0.6" weighs its words (default: velocity)',
    )
    _model_options(p, method="ddim", guidance=None, length=False)


def _encode(commands) -> None:
    p = _command(
        commands,
        "encode",
        "The latents of a clip, and how well they give it back.",
        "latentlab encode my.mp4 --out latents.safetensors",
        out="latents.safetensors",
        seed=False,
    )
    p.add_argument("video", metavar="CLIP", help="video file or folder of images; fitted to the model, saying how")
    add_model(p, _positive(int))


def _invert(commands) -> None:
    p = _command(
        commands,
        "invert",
        "The noise from which the model draws a clip, and the error of the round trip.",
        "latentlab invert my.mp4 --steps 25 --out noise.safetensors",
        out="noise.safetensors",
    )
    p.add_argument("video", metavar="CLIP", help="video file or folder of images")
    p.add_argument("--caption", default="", help='what the clip shows (default: "", nothing said)')
    p.add_argument(
        "--levels",
        choices=("analysis", "sampling"),
        help="for noise to be read, near the true encoding, or to be sampled back (default: what suits the method)",
    )
    p.add_argument(
        "--estimate", action="store_true", help="say how far the noise is from the true encoding, at thrice the calls"
    )
    _model_options(p)


def _interpolate(commands) -> None:
    p = _command(
        commands,
        "interpolate",
        "Clips between two clips.",
        "latentlab interpolate a.mp4 b.mp4 --path slerp --space noise --points 5 --out path/",
        out="path",
    )
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
    p.add_argument("--points", type=_positive(int, least=2), default=5, help="clips, ends included (default: 5)")
    _model_options(p, told=False)


def _edit(commands) -> None:
    p = _command(
        commands,
        "edit",
        "A clip with one thing changed and all else as it was, and an account of whether it is.",
        "latentlab edit star.mp4 --to hue=blue --out blue.mp4\n"
        "  latentlab edit star.mp4 --by 'size*1.25' --by light+0.2 --by place=+5,0 --out moved.mp4\n"
        '  latentlab edit star.mp4 --caption "a blue star" --out blue.mp4\n'
        "  latentlab edit my.mp4 --direction light --strength 2 --directions d.safetensors --out bright.mp4",
        out="edited.mp4",
    )
    p.add_argument("video", metavar="CLIP", help="video file or folder of images")
    target = "FACTOR=VALUE"
    p.add_argument("--to", action="append", metavar=target, help="hue=blue, shape=star, direction=left, light=0.9")
    p.add_argument(
        "--by", action="append", metavar="FACTOR+VALUE", help="size*1.25, light+0.2, place=+5,0, direction+90"
    )
    p.add_argument("--caption", help="what the clip is to show")
    p.add_argument("--source", default="", help='what it shows, for --method flow (default: "", nothing said)')
    p.add_argument(
        "--method",
        choices=("auto", "network", "flow"),
        default="auto",
        help="the edit network of pairs, or captions alone (default: auto, the network where the model has one)",
    )
    p.add_argument(
        "--mask",
        metavar="FILE|BOX",
        help="picture or clip, white where the clip may change, or LEFT,TOP,WIDTH,HEIGHT in pixels of the fitted clip",
    )
    p.add_argument("--direction", help="of labelled clips: light, size, hue@240 (an angle), shape=star, direction@90")
    p.add_argument(
        "--strength", type=float, default=2.0, help="standard deviations (default: 2); negative is the other way"
    )
    p.add_argument(
        "--directions", metavar="FILE", help="what `latentlab directions` wrote (default: found anew, a minute)"
    )
    p.add_argument(
        "--space",
        choices=("latent", "noise", "h-space"),
        default="latent",
        help="of a direction: latents, inverted noise, the denoiser's innermost activations (default: latent)",
    )
    add_model(p, _positive(int))


def _directions(commands) -> None:
    p = _command(
        commands,
        "directions",
        "Finds the directions of all factors once, from labelled clips, for `latentlab edit --directions`.",
        "latentlab directions --out d.safetensors",
        out="directions.safetensors",
    )
    p.add_argument("--space", choices=("latent", "noise", "h-space"), default="latent", help="(default: latent)")
    p.add_argument(
        "--labelled", type=_positive(int, least=2), help="clips to find them with (default: as the space needs)"
    )
    add_model(p, _positive(int))


def _replay(commands) -> None:
    p = _command(
        commands,
        "replay",
        "A clip edited again as a recipe says, to the same frames; `edit` writes one beside its clip.",
        "latentlab replay edited.recipe.safetensors my.mp4 --out again.mp4",
        out="replayed.mp4",
        seed=False,
    )
    p.add_argument("recipe", metavar="RECIPE", help="file of a recipe")
    p.add_argument("video", metavar="CLIP", help="the clip that the recipe edits")
    add_model(p, _positive(int))


def _extend(commands) -> None:
    p = _command(
        commands,
        "extend",
        "A clip that goes on: more frames after its last, drawn by windows that reach into it.",
        'latentlab extend my.mp4 --by 48 --caption "a red star moving left slowly" --out longer.mp4',
        out="extended.mp4",
    )
    p.add_argument("video", metavar="CLIP", help="video file or folder of images; fitted to the model, saying how")
    p.add_argument("--by", type=_positive(int), required=True, help="frames more")
    p.add_argument("--caption", default="", help='what the clip shows (default: "", nothing said)')
    p.add_argument("--windows", choices=WINDOWS, default="keyframes", help="how they are joined (default: keyframes)")
    _model_options(p, method="ddim", guidance=None)


def _inpaint(commands) -> None:
    p = _command(
        commands,
        "inpaint",
        "A clip with what a mask covers drawn anew; all else stays as it is.",
        'latentlab inpaint my.mp4 --mask mask.png --caption "a small green circle" --out filled.mkv',
        out="inpainted.mp4",
    )
    p.add_argument("video", metavar="CLIP", help="video file, image or folder of images; fitted to the model")
    p.add_argument(
        "--mask",
        required=True,
        metavar="FILE|BOX",
        help="picture or video, white where to paint, or LEFT,TOP,WIDTH,HEIGHT in pixels of the fitted clip",
    )
    p.add_argument("--caption", default="", help='what the clip shows, hole included (default: "", whatever fits)')
    p.add_argument("--start", type=float, default=1.0, help="flow time to draw from; less keeps more (default: 1)")
    p.add_argument("--grow", type=_whole, default=4, help="pixels the mask is grown by (default: 4)")
    p.add_argument("--feather", type=_whole, default=2, help="pixels of soft edge (default: 2)")
    p.add_argument("--refine", type=_whole, default=30, help="decodings for the border (default: 30)")
    p.add_argument(
        "--blend", choices=("match", "paste"), default="match", help="colours at the border (default: match)"
    )
    _model_options(p, method="ddim", guidance=None)


def _flicker(commands) -> None:
    p = _command(
        commands,
        "flicker",
        "How much clips flicker, in 8-bit levels.",
        "latentlab flicker a.mp4 b.mp4 --json",
        out="",
        seed=False,
        device=False,
    )
    p.add_argument("videos", nargs="+", metavar="CLIP", help="video files or folders of images")


def _score(commands) -> None:
    p = _command(
        commands,
        "score",
        "Clips scored one by one, and as a set against a reference; goes on where it was stopped.",
        "latentlab score generated/ --against real/ --out score/",
        out="score",
    )
    p.add_argument("clips", nargs="+", metavar="CLIP", help="video files, folders of images, or folders of videos")
    p.add_argument("--against", nargs="+", default=[], metavar="REF", help="reference clips; equal names are paired")
    p.add_argument(
        "--features",
        default="reader-td",
        help="reader-td, i3d=FILE, videomae=FILE, inception=FILE (default: reader-td)",
    )
    p.add_argument("--trust", action="store_true", help="run a FILE of features that is not the published one")
    p.add_argument("--bootstrap", type=_positive(int), default=100, help="draws for intervals (default: 100)")


def _bench(commands) -> None:
    p = _command(
        commands,
        "bench",
        "Runs the scripts of benchmarks/, keeps their answers, and writes one page; or compares two such folders.",
        "latentlab bench inversion edits --repeats 3 --out bench/new\n"
        "  latentlab bench inversion --set inversion.clips=4 --out bench/small\n"
        "  latentlab bench --compare bench/old bench/new --out bench/changes",
        out="bench",
        device=False,
    )
    p.add_argument("names", nargs="*", metavar="NAME", help="scripts (default: all)")
    p.add_argument("--scripts", metavar="FOLDER", help="where they are (default: benchmarks/ of the checkout)")
    p.add_argument("--set", action="append", default=[], metavar="NAME.FIELD=VALUE", help="a setting of a script")
    p.add_argument("--repeats", type=_positive(int), default=1, help="two or more give intervals (default: 1)")
    p.add_argument("--jobs", type=_positive(int), default=1, help="processes at a time (default: 1)")
    p.add_argument("--compare", nargs=2, metavar=("OLD", "NEW"), help="folders written by --out; runs nothing")


def _train(commands) -> None:
    p = _command(
        commands,
        "train",
        "Train a network; a run that was stopped goes on when the same command is given again.",
        "latentlab train autoencoder --out runs/autoencoder\n"
        "  latentlab train clip --out runs/clip\n"
        "  latentlab train denoiser --autoencoder runs/autoencoder --clip runs/clip --out runs/denoiser\n"
        "  latentlab train autoencoder --data my_videos/ --size 64x96 --out runs/mine\n"
        "  latentlab train vector-vae --objective beta-tcvae --out runs/vector-vae\n"
        "  latentlab train denoiser --data fashion-mnist --objective ddpm --classes --out runs/fashion\n"
        "  latentlab train adapter --data my_drawings/ --trigger ink --out runs/ink\n"
        "  torchrun --nproc-per-node 4 -m latentlab train denoiser ...",
        out="runs/NETWORK",
    )
    p.description = TRAINING
    p.set_defaults(out=None)
    p.add_argument("network", choices=NETWORKS, help="what to train")
    data = "moving-shapes, moving-scenes, dsprites, fashion-mnist, digits, or a folder of video files or of pictures"
    p.add_argument("--data", default="moving-shapes", help=data)
    p.add_argument(
        "--num-frames",
        type=_positive(int),
        help="of a folder's clips (default: 16; denoiser: a multiple of it), or of a vector-vae's (default: 1)",
    )
    p.add_argument(
        "--size",
        type=_size,
        metavar="HxW",
        help="of a folder's clips in pixels (default: 64x64); multiples of 8, for denoiser and vector-vae of 16",
    )
    p.add_argument(
        "--autoencoder",
        metavar="FOLDER",
        help="run whose latents the denoiser learns (default: shipped), or whose decoder is refined",
    )
    p.add_argument(
        "--start", metavar="FOLDER", help="run or generator to go on from, or: shipped (autoencoder, clip, denoiser)"
    )
    p.add_argument("--clip", metavar="FOLDER", help="run of the CLIP model (denoiser only; default: shipped)")
    p.add_argument("--steps", type=_positive(int), help="how many (default: as the shipped weights were trained)")
    p.add_argument("--batch-size", type=_positive(int), help="clips or frames a step")
    p.add_argument("--learning-rate", type=_positive(float), help="peak of AdamW")
    p.add_argument("--clips", type=_positive(int), help="clips to draw first (not for autoencoder and reader)")
    p.add_argument("--save-every", type=_positive(int), help="steps between checkpoints")
    p.add_argument("--sample-every", type=_positive(int), help="steps between sample grids")
    p.add_argument("--precision", choices=("auto", "float32", "bfloat16"), help="auto: bfloat16 on CUDA")
    p.add_argument(
        "--objective",
        choices=(*OBJECTIVES, *ANSWERS),
        help=f"vector-vae: one of the first {len(OBJECTIVES)} (default: beta-tcvae); denoiser of pictures: what it "
        "answers, one of the others (default: ddpm)",
    )
    denoiser = p.add_argument_group("denoiser only")
    denoiser.add_argument(
        "--network", dest="layers", choices=("unet", "transformer"), help="of videos: its layers (default: unet)"
    )
    denoiser.add_argument("--classes", action="store_true", help="pictures under their class")
    denoiser.add_argument("--no-temporal-attention", action="store_true", help="ablation")
    denoiser.add_argument("--no-temporal-convolution", action="store_true", help="ablation")
    denoiser.add_argument("--flicker-loss", type=_positive(float), metavar="WEIGHT", help="penalty on flicker")
    adapter = p.add_argument_group("adapter only")
    adapter.add_argument("--kind", choices=("lora", "full", "word"), help="low-rank (default), all weights, or a word")
    adapter.add_argument("--trigger", metavar="WORD", help="new word that calls the look")
    adapter.add_argument("--rank", type=_positive(int), help="of a low-rank one (default: 8)")
    adapter.add_argument("--target", choices=("all", "attention"), help="layers that change (default: all)")
    adapter.add_argument("--prior", type=float, help="weight of staying the base without the word (default: 1)")
    adapter.add_argument("--model", metavar="FOLDER", help="generator to adapt (default: the shipped model)")
    adapter.add_argument("--anyway", action="store_true", help="also what the autoencoder cannot hold")
    vae = p.add_argument_group("vector-vae only")
    vae.add_argument("--strength", type=_positive(float), help="beta, gamma or lambda of the objective")
    vae.add_argument("--warmup", type=float, help="share of the steps in which the weights rise (default: 0.6)")
    vae.add_argument("--dims", type=_positive(int), help="length of its code (default: 10)")
    vae.add_argument("--rings", type=_positive(int), help="dims that are angles, for hues and turns (default: none)")
    vae.add_argument("--moves", action="store_true", help="the last two dims move the picture")
    vae.add_argument("--motion-dims", type=_positive(int), help="of a motion code for each frame (default: none)")


def _why(commands) -> None:
    p = _command(
        commands,
        "why",
        "Why a caption was not obeyed: for each word the stage at which it was lost, and what to do.",
        'latentlab why "a large red star moving left on a blue background"\n'
        '  latentlab why "a red star" --video star.mp4 --training captions.txt',
        out="why.json",
    )
    p.add_argument("caption", metavar="CAPTION", help="what was asked for")
    p.add_argument("--video", metavar="CLIP", help="what came of it (default: it is drawn)")
    p.add_argument("--training", metavar="FILE", help="captions of the training set, one a line, to count words in")
    p.add_argument(
        "--adapter", action="append", default=[], metavar="FILE[=STRENGTH]", help="that is put on; several add up"
    )
    add_model(p, _positive(int))
    p.add_argument("--steps", type=_positive(int), default=25, help="solver steps (default: 25)")


def _size(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"([1-9]\d*)(?:x([1-9]\d*))?", text, re.ASCII)
    if not found:
        raise argparse.ArgumentTypeError(f"must be HEIGHTxWIDTH, as 64x96, or one side of a square, got {text}")
    return int(found[1]), int(found[2] or found[1])


def _seed(text: str) -> int:
    if not re.fullmatch(r"\d+", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 on, got {text}")
    return int(text)


def _whole(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more, got {text}")
    return value


def _positive(kind: Callable, least: float = 0) -> Callable:
    def parse(text: str):
        value = kind(text)
        if value < least or value <= 0:
            raise argparse.ArgumentTypeError(f"must be {f'at least {least}' if least else 'above 0'}, got {text}")
        return value

    parse.__name__ = kind.__name__
    return parse
