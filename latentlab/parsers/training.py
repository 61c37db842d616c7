"""The command that trains networks."""

from __future__ import annotations

from latentlab.parsers.options import command, height_and_width, positive

# Those of train, which would load torch.
NETWORKS = (
    "adapter", "autoencoder", "clip", "control", "denoiser", "edits", "known-region", "reader", "reference", "slider",
    "student",
    "vector-vae",
)  # fmt: skip
# Those of train.objectives, likewise.
OBJECTIVES = ("autoencoder", "beta-vae", "annealed-vae", "beta-tcvae", "factor-vae", "dip-vae-i", "dip-vae-ii")
# Those of generator.objective, likewise: what a denoiser of pictures is asked for.
ANSWERS = ("ddpm", "x0", "v", "flow", "edm")
TRAINING = """\
Train a network; a run that was stopped goes on when the same command is given again.

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
scaled and cropped to --size, and windows of --num-frames are cut at random, as many as there are different ones (but
see --clips). Files that cannot be read are named, counted and left out.

Pictures with a class, no autoencoder and no captions: train denoiser --data fashion-mnist --objective ddpm --classes;
or --data digits, or a folder of idx files or of a folder for each class, which --classes tells from one of videos.
Such a model learns time: train denoiser --data fashion-mnist --inflate fashion-mnist adds layers over time that learn
from pictures that drift; its own weights stay, and so do its pictures.

Runs of a few steps show whether all fits: --steps 20 --clips 64.
"""


def add_train(commands) -> None:
    p = command(
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
        "  latentlab train slider --from small --to large --factor size --out runs/large\n"
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
        type=positive(int),
        help="of a folder's clips (default: 16; denoiser: a multiple of it), or of a vector-vae's (default: 1)",
    )
    p.add_argument(
        "--size",
        type=height_and_width,
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
    p.add_argument("--steps", type=positive(int), help="how many (default: as the shipped weights were trained)")
    p.add_argument("--batch-size", type=positive(int), help="clips or frames a step")
    p.add_argument("--learning-rate", type=positive(float), help="peak of AdamW")
    p.add_argument(
        "--clips", type=positive(int), help="clips to draw first, a student's paths (not for autoencoder and reader)"
    )
    p.add_argument("--save-every", type=positive(int), help="steps between checkpoints")
    p.add_argument("--sample-every", type=positive(int), help="steps between sample grids")
    p.add_argument("--precision", choices=("auto", "float32", "bfloat16"), help="auto: bfloat16 on CUDA")
    p.add_argument(
        "--objective",
        choices=(*OBJECTIVES, *ANSWERS),
        help=f"vector-vae: one of the first {len(OBJECTIVES)} (default: beta-tcvae); denoiser of pictures: what it "
        "answers, one of the others (default: ddpm)",
    )
    autoencoder = p.add_argument_group("autoencoder only")
    autoencoder.add_argument("--latent-channels", type=positive(int), help="of its latents (default: 6)")
    autoencoder.add_argument(
        "--norm",
        choices=("group", "pixel"),
        help="group: over the whole frame (default); pixel: local, so that a change stays where it is made",
    )
    autoencoder.add_argument("--object-weight", type=positive(float), help="of errors on objects (default: 1)")
    autoencoder.add_argument(
        "--cutmix",
        type=float,
        metavar="SHARE",
        help="of the clips, to put together in latents and ask for apart (default: 0)",
    )
    denoiser = p.add_argument_group("denoiser only")
    denoiser.add_argument(
        "--network", dest="layers", choices=("unet", "transformer"), help="of videos: its layers (default: unet)"
    )
    denoiser.add_argument("--classes", action="store_true", help="pictures under their class")
    denoiser.add_argument(
        "--inflate", metavar="MODEL", help="of pictures, as fashion-mnist: layers over time are added to it and learn"
    )
    denoiser.add_argument("--no-temporal-attention", action="store_true", help="ablation")
    denoiser.add_argument("--no-temporal-convolution", action="store_true", help="ablation")
    denoiser.add_argument("--flicker-loss", type=positive(float), metavar="WEIGHT", help="penalty on flicker")
    adapter = p.add_argument_group("adapter only")
    adapter.add_argument("--kind", choices=("lora", "full", "word"), help="low-rank (default), all weights, or a word")
    adapter.add_argument("--trigger", metavar="WORD", help="new word that calls the look")
    adapter.add_argument(
        "--rank",
        type=positive(int),
        help="of a low-rank one, and of known-region (default: 8; slider: 4); of control (default: a copy instead)",
    )
    adapter.add_argument("--target", choices=("all", "attention"), help="layers that change (default: all)")
    adapter.add_argument("--prior", type=float, help="weight of staying the base without the word (default: 1)")
    adapter.add_argument(
        "--model",
        metavar="FOLDER",
        help="generator to adapt, also of known-region, control, reference and student (default: the shipped model)",
    )
    adapter.add_argument("--anyway", action="store_true", help="also what the autoencoder cannot hold")
    slider = p.add_argument_group("slider only; also --rank, --target and --model")
    slider.add_argument("--from", dest="first", metavar="WORDS", help='a word or a caption, as "small" or "a calm sea"')
    slider.add_argument("--to", dest="second", metavar="WORDS", help="its opposite; strength 1 leads there")
    slider.add_argument(
        "--captions",
        metavar="FILE",
        help="captions with one of both, a line each (default: moving shapes', or none)",
    )
    slider.add_argument(
        "--factor", metavar="NAME", help="what it moves, as size or hue@240: its standard deviation is the unit"
    )
    slider.add_argument("--labels", metavar="FILE", help="values of a folder's clips, NAME,VALUE a line")
    student = p.add_argument_group("student only")
    student.add_argument("--student-steps", type=positive(int), help="in which it draws (default: 4)")
    student.add_argument(
        "--teacher-steps", type=positive(int), help="of --model, a multiple of these (default: 24; a student its own)"
    )
    vae = p.add_argument_group("vector-vae only")
    vae.add_argument("--strength", type=positive(float), help="beta, gamma or lambda of the objective")
    vae.add_argument("--warmup", type=float, help="share of the steps in which the weights rise (default: 0.6)")
    vae.add_argument("--dims", type=positive(int), help="length of its code (default: 10)")
    vae.add_argument("--rings", type=positive(int), help="dims that are angles, for hues and turns (default: none)")
    vae.add_argument("--moves", action="store_true", help="the last two dims move the picture")
    vae.add_argument("--motion-dims", type=positive(int), help="of a motion code for each frame (default: none)")
