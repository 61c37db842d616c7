"""The command that trains networks: for each one the options that its settings have, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from latentlab import train
from latentlab.flags import add_fields
from latentlab.parsers.options import (
    FORMAT,
    Asking,
    Parser,
    height_and_width,
    positive,
    shared_options,
)

if TYPE_CHECKING:
    from latentlab.train.settings import LoopConfig

TRAINING = """\
Train a network; a run that was stopped goes on when the same command is given again.
latentlab train NETWORK --help shows what each takes.

A generator is three networks, trained in this order: the autoencoder turns frames into latents and back, clip learns
which caption fits which clip, the denoiser learns to make latents under captions and needs the other two. Its run
writes a folder `generator` that `--model` of the other commands reads. The reader reads factors off moving shapes;
edits changes latents of these factor by factor and needs the autoencoder; known-region teaches the denoiser of --model
to fill holes and go on from keyframes, and leaves it as it is where nothing is told; control teaches it to follow
masks, sketches, boxes, flow, classes and depth, reference to look at images; a student draws in --student-steps what
--model draws in many; the vector-vae has one short code for a clip and needs no other network.

A slider is an adapter whose strength moves one thing: --from small --to large learns it from the model's own words,
--factor size from clips that differ in it, --data FOLDER --labels FILE.csv --factor NAME from a number of each clip.

Your own videos: --data FOLDER takes all of it, subfolders too. clip.txt beside clip.mp4 is its caption. Videos are
scaled and cropped to --size HxW, and windows of --num-frames are cut at random, as many as there are different ones
(but see --clips). Files that cannot be read are named, counted and left out.

Pictures with a class, no autoencoder and no captions: train denoiser --data fashion-mnist --objective ddpm --classes;
or --data digits, or a folder of idx files or of a folder for each class, which --classes tells from one of videos.
Such a model learns time: train denoiser --data fashion-mnist --inflate fashion-mnist adds layers over time that learn
from pictures that drift; its own weights stay, and so do its pictures.

Runs of a few steps show whether all fits: --steps 20 --clips 64. Every one takes --out, --seed, --device and --json.
"""


def add_train(commands) -> Asking:
    p = commands.add_parser(
        "train",
        help="Train a network; a run that was stopped goes on when the same command is given again.",
        description=TRAINING,
        epilog="example:\n"
        "  latentlab train autoencoder --out runs/autoencoder\n"
        "  latentlab train clip --out runs/clip\n"
        "  latentlab train denoiser --autoencoder runs/autoencoder --clip runs/clip --out runs/denoiser\n"
        "  latentlab train autoencoder --data my_videos/ --size 64x96 --out runs/mine\n"
        "  latentlab train vector-vae --objective beta-tcvae --out runs/vector-vae\n"
        "  latentlab train denoiser --data fashion-mnist --objective ddpm --classes --out runs/fashion\n"
        "  latentlab train adapter --data my_drawings/ --trigger ink --out runs/ink\n"
        "  latentlab train slider --from small --to large --factor size --out runs/large\n"
        "  torchrun --nproc-per-node 4 -m latentlab train denoiser ...",
        formatter_class=FORMAT,
    )
    yield p
    networks = p.add_subparsers(dest="network", required=True, metavar="NETWORK", parser_class=Parser)
    for name, (summary, add) in NETWORKS.items():
        one = networks.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        one.asks = _asked(one, name, add)


def _asked(p: Parser, name: str, add: Callable[[Parser], None]) -> Iterator[None]:
    """Options of one network, made when it is asked for."""
    shared_options(p, out=f"runs/{name}")
    add(p)
    yield None


def _data(p: Parser, own: str = "moving-shapes or moving-scenes") -> None:
    p.add_argument("--data", default="moving-shapes", metavar="NAME|FOLDER", help=f"{own} (default: moving-shapes)")


def _clips(p: Parser, own: str = "moving-shapes, moving-scenes, or a folder of videos", sides: int = 8) -> None:
    _data(p, own)
    p.add_argument("--num-frames", type=positive(int), help="of a folder's clips (default: 16)")
    _size(p, sides)


def _size(p: Parser, sides: int) -> None:
    size = f"of a folder's clips in pixels, multiples of {sides} (default: 64x64)"
    p.add_argument("--size", type=height_and_width, metavar="HxW", help=size)


def _loop(p: Parser, loop: LoopConfig, *, samples: bool = False) -> None:
    names = ["steps", "batch_size", "learning_rate", "save_every", "precision"]
    add_fields(p, loop, names[:4] + ["sample_every"] * samples + names[4:], unset=True)


def _model(p: Parser) -> None:
    p.add_argument("--model", metavar="FOLDER", help="generator that is taught (default: the shipped model)")


def _adapter(p: Parser) -> None:
    p.add_argument("--data", default="moving-shapes", metavar="FOLDER", help="of pictures, wave.txt beside wave.png")
    _model(p)
    add_fields(p, train.AdapterTraining(), ["kind", "trigger", "rank", "target", "prior"], unset=True)
    p.add_argument("--anyway", action="store_true", help="also what the autoencoder cannot hold")
    _loop(p, train.AdapterTraining().loop)


def _autoencoder(p: Parser) -> None:
    config = train.AutoencoderTraining()
    _clips(p, "moving-shapes, moving-scenes, dsprites, or a folder of videos")
    p.add_argument("--autoencoder", metavar="FOLDER", help="run whose decoder is refined")
    p.add_argument("--start", metavar="FOLDER", help="run or generator to go on from, or: shipped")
    add_fields(p, config.network, ["latent_channels", "norm"], unset=True)
    add_fields(p, config, ["object_weight", "cutmix"], unset=True)
    _loop(p, config.loop)


def _clip(p: Parser) -> None:
    _clips(p)
    p.add_argument("--start", metavar="FOLDER", help="run or generator to go on from, all but its tokens, or: shipped")
    add_fields(p, train.ClipTraining(), ["clips"], unset=True)
    _loop(p, train.ClipTraining().loop)


def _control(p: Parser) -> None:
    _data(p)
    _model(p)
    add_fields(p, train.ControlTraining(), ["rank", "clips"], unset=True)
    _loop(p, train.ControlTraining().loop)


def _denoiser(p: Parser) -> None:
    config = train.DenoiserTraining()
    _clips(p, "moving-shapes, moving-scenes, fashion-mnist, digits, or a folder of videos or of pictures", 16)
    p.add_argument("--start", metavar="FOLDER", help="run or generator to go on from, or: shipped")
    _loop(p, config.loop, samples=True)
    videos = p.add_argument_group("of videos")
    videos.add_argument("--autoencoder", metavar="FOLDER", help="run whose latents it learns (default: shipped)")
    videos.add_argument("--clip", metavar="FOLDER", help="run of the CLIP model (default: shipped)")
    add_fields(videos, config, ["clips", "grounding", "flicker"], flags={"flicker": "--flicker-loss"}, unset=True)
    videos.add_argument("--network", dest="layers", choices=("unet", "transformer"), help="(default: unet)")
    videos.add_argument("--fine-attention", action="store_true", help="attention at the latents' own scale, too")
    videos.add_argument("--no-temporal-attention", action="store_true", help="ablation")
    videos.add_argument("--no-temporal-convolution", action="store_true", help="ablation")
    pictures = p.add_argument_group("of pictures, whose steps, batches and rates have defaults of their own")
    pictures.add_argument("--classes", action="store_true", help="under their class")
    add_fields(pictures, train.ImageTraining().network, ["objective"], unset=True)
    pictures.add_argument("--inflate", metavar="MODEL", help="as fashion-mnist: layers over time are added and learn")


def _edits(p: Parser) -> None:
    _data(p, "moving-shapes, whose factors are known")
    p.add_argument("--autoencoder", metavar="FOLDER", help="run whose latents it learns to edit (default: shipped)")
    add_fields(
        p, train.EditTraining(), ["frames", "read_frames", "read_steps"], flags={"frames": "--clips"}, unset=True
    )
    _loop(p, train.EditTraining().loop)


def _known_region(p: Parser) -> None:
    _clips(p, sides=16)
    _model(p)
    add_fields(p, train.KnownRegionTraining(), ["rank", "clips"], unset=True)
    _loop(p, train.KnownRegionTraining().loop)


def _reader(p: Parser) -> None:
    _data(p)
    _loop(p, train.ReaderTraining().loop)


def _reference(p: Parser) -> None:
    _clips(p, sides=16)
    _model(p)
    add_fields(p, train.ReferenceTraining(), ["clips"], unset=True)
    _loop(p, train.ReferenceTraining().loop)


def _slider(p: Parser) -> None:
    p.add_argument("--data", default="moving-shapes", metavar="FOLDER", help="of clips, for --labels")
    p.add_argument("--from", dest="first", metavar="WORDS", help='a word or a caption, as "small" or "a calm sea"')
    p.add_argument("--to", dest="second", metavar="WORDS", help="its opposite; strength 1 leads there")
    captions = "captions with one of both, a line each (default: moving shapes', or none)"
    p.add_argument("--captions", metavar="FILE", help=captions)
    factor = "what it moves, as size or hue@240: its standard deviation is the unit"
    p.add_argument("--factor", metavar="NAME", help=factor)
    p.add_argument("--labels", metavar="FILE", help="values of a folder's clips, NAME,VALUE a line")
    _model(p)
    add_fields(p, train.SliderTraining(), ["rank", "target"], unset=True)
    _loop(p, train.SliderTraining().loop)


def _student(p: Parser) -> None:
    _clips(p, sides=16)
    _model(p)
    spelled = {"steps": "--student-steps", "paths": "--clips"}
    add_fields(p, train.StudentTraining(), ["steps", "teacher_steps", "paths"], flags=spelled, unset=True)
    _loop(p, train.StudentTraining().loop)


def _vector_vae(p: Parser) -> None:
    config = train.VectorVAETraining()
    _data(p, "moving-shapes, moving-scenes, dsprites, or a folder of videos")
    _size(p, 16)
    add_fields(p, config, ["objective", "strength", "warmup"], unset=True)
    add_fields(p, config.network, ["dims", "rings", "moves", "motion_dims", "num_frames"], unset=True)
    p.add_argument("--clips", type=positive(int), help=f"to draw first (default: {config.frames} frames' worth)")
    _loop(p, config.loop)


NETWORKS: dict[str, tuple[str, Callable[[Parser], Any]]] = {
    "adapter": ("an adapter of a generator, from pictures", _adapter),
    "autoencoder": ("frames to latents and back", _autoencoder),
    "clip": ("which caption fits which clip", _clip),
    "control": ("a branch that follows masks, sketches, boxes, flow, classes and depth", _control),
    "denoiser": ("latents under captions, or pictures under a class", _denoiser),
    "edits": ("latents changed factor by factor", _edits),
    "known-region": ("a denoiser that hears which latents are known", _known_region),
    "reader": ("factors read off moving shapes", _reader),
    "reference": ("a denoiser that looks at images", _reference),
    "slider": ("an adapter whose strength moves one thing", _slider),
    "student": ("a model that draws in few steps", _student),
    "vector-vae": ("one short code for a clip", _vector_vae),
}
