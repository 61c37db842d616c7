"""Commands that change clips."""

from __future__ import annotations

from argparse import ArgumentTypeError

from latentlab.asked import add_model
from latentlab.flags import add_fields
from latentlab.parsers.options import LABELS, Asking, command, model_options, positive, whole_number


def add_edit(commands) -> Asking:
    p = command(
        commands,
        "edit",
        "A clip with one thing changed and all else as it was, and an account of whether it is.",
        "latentlab edit star.mp4 --to hue=blue --out blue.mp4\n"
        "  latentlab edit star.mp4 --by 'size*0.8' --by light+0.2 --by place=+5,0 --out moved.mp4\n"
        '  latentlab edit star.mp4 --caption "a blue star" --out blue.mp4\n'
        "  latentlab edit my.mp4 --direction light --strength 2 --directions d.safetensors --out bright.mp4",
        out="edited.mp4",
    )
    yield p
    from latentlab.settings import EditSettings

    p.add_argument("video", metavar="CLIP", help="video file or folder of images")
    target = "FACTOR=VALUE"
    p.add_argument(
        "--to",
        action="append",
        metavar=target,
        help="hue=blue, shape=star, direction=left, light=0.9; of the second of two objects, from the left in "
        "the mean over frames, hue.2=blue",
    )
    p.add_argument(
        "--by",
        action="append",
        metavar="FACTOR+VALUE",
        help="size*0.8, light+0.2, place=+5,0, direction+90, speed+0.2, rotation+3",
    )
    p.add_argument(
        "--at", type=_place, metavar="X,Y", help="of two objects, the one nearest to these pixels of frame 0"
    )
    p.add_argument("--caption", help="what the clip is to show")
    add_fields(p, EditSettings, ["source", "method"], unset=True)
    p.add_argument(
        "--mask",
        metavar="FILE|BOX",
        help="picture or clip, white where the clip may change, or LEFT,TOP,WIDTH,HEIGHT in pixels of the fitted clip",
    )
    p.add_argument("--direction", help="of labelled clips: light, size, hue@240 (an angle), shape=star, direction@90")
    add_fields(p, EditSettings, ["strength"], unset=True)
    p.add_argument(
        "--directions", metavar="FILE", help="what `latentlab directions` wrote (default: found anew, a minute)"
    )
    p.add_argument("--labels", metavar="TABLE|FOLDER", help=LABELS)
    add_fields(p, EditSettings, ["space"], unset=True)
    add_fields(p, EditSettings, ["when"])
    add_model(p, positive(int), negative=True)


def _place(text: str) -> tuple[float, float]:
    try:
        x, y = map(float, text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"two numbers of pixels from the left and the top, as 40,20, got {text!r}") from None
    return x, y


def add_directions(commands) -> Asking:
    p = command(
        commands,
        "directions",
        "Finds directions once, for `latentlab edit --directions`: from exact factors of moving shapes, or of any\n"
        "model from labels of your own, from two captions, or from clips alone.",
        "latentlab directions --out d.safetensors\n"
        "  latentlab directions --model wan-folder --labels table.csv --out d.safetensors\n"
        '  latentlab directions --model flux-folder --captions "a red car" "a blue car" --out d.safetensors\n'
        "  latentlab directions --model wan-folder --clips my_videos --out d.safetensors",
        out="directions.safetensors",
    )
    yield p
    from latentlab.settings import EditSettings

    add_fields(p, EditSettings, ["space"], helps={"space": "(default: latent)"})
    p.add_argument("--labelled", type=positive(int, least=2), help="clips of moving shapes (default: as needed)")
    p.add_argument("--labels", metavar="TABLE|FOLDER", help=LABELS)
    p.add_argument("--captions", nargs=2, metavar=("FROM", "TO"), help="between clips drawn under two captions")
    p.add_argument("--clips", metavar="FOLDER", help="the directions along which these vary most, without labels")
    p.add_argument("--count", type=positive(int), help="clips of each caption, or directions of --clips (default: 8)")
    p.add_argument("--steps", type=positive(int), help="solver steps of --captions (default: 25)")
    add_model(p, positive(int))


def add_replay(commands) -> Asking:
    p = command(
        commands,
        "replay",
        "A clip edited again as a recipe says, to the same frames; `add_edit` writes one beside its clip.",
        "latentlab replay edited.recipe.safetensors my.mp4 --out again.mp4",
        out="replayed.mp4",
        seed=False,
    )
    yield p
    p.add_argument("recipe", metavar="RECIPE", help="file of a recipe")
    p.add_argument("video", metavar="CLIP", help="the clip that the recipe edits")
    add_model(p, positive(int))


def add_inpaint(commands) -> Asking:
    p = command(
        commands,
        "inpaint",
        "A clip with what a mask covers drawn anew; all else stays as it is.",
        'latentlab inpaint my.mp4 --mask mask.png --caption "a small green circle" --out filled.mkv',
        out="inpainted.mp4",
    )
    yield p
    from latentlab.generator.sampler import DRAW
    from latentlab.settings import InpaintSettings

    p.add_argument("video", metavar="CLIP", help="video file, image or folder of images; fitted to the model")
    p.add_argument(
        "--mask",
        required=True,
        metavar="FILE|BOX",
        help="picture or video, white where to paint, or LEFT,TOP,WIDTH,HEIGHT in pixels of the fitted clip",
    )
    p.add_argument("--caption", default="", help='what the clip shows, hole included (default: "", whatever fits)')
    add_fields(p, InpaintSettings)
    model_options(p, DRAW)


def add_paint(commands) -> Asking:
    p = command(
        commands,
        "paint",
        "A page on this machine to paint a mask on a clip and have it filled; by mouse, touch or keys.",
        "latentlab paint my.mp4\n"
        "  latentlab paint my.mp4 --model FOLDER --out filled.mkv\n"
        "  latentlab paint my.mp4 --masks   # at the clip's own size, masks alone",
        out="",
        seed=False,
    )
    yield p
    p.add_argument("video", metavar="CLIP", help="video file, image or folder of images; fitted to the model")
    p.add_argument("--caption", default="", help="that the page begins with")
    p.add_argument("--masks", action="store_true", help="paint, carry and save masks, without a model")
    p.add_argument("--gradio", action="store_true", help="in a page of gradio's, the extra latentlab[app]")
    p.add_argument("--port", type=whole_number, default=0, help="of the page (default: any that is free)")
    p.add_argument("--no-open", dest="opens", action="store_false", help="print the address, and open no browser")
    add_model(p, positive(int), negative=True)
