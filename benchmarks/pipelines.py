"""Every pipeline class of diffusers that makes clips or images in steps: checked, refused, or not tried.

    python benchmarks/pipelines.py                       # the table; rows that are in the file are not measured again
    python benchmarks/pipelines.py --only Flux,Latte     # some, measured anew
    python benchmarks/pipelines.py --rows rows.json      # another file than pipelines_measured.json beside this

Tiny pipelines of random weights are built from their classes by the settings in `pipelines.json` beside this file,
which are those of diffusers' own tests (Apache-2.0), with tokenizers of a few words in the place of trained ones. Each
is driven (`generator.account` compares two steps with the pipeline's own call) and then held against `pipe(...)` over
five steps: latents as they come to the autoencoder, over their spread, and frames in [0, 1]; without guidance, and at 3
with a negative caption where it reads one; two captions at once where it takes several; there and back by leapfrog;
and, where latentlab has a family of its own for the class, against that. A class that is not built is refused where
what it takes says why.
"""

from __future__ import annotations

import json
import math
import traceback
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import import_module
from inspect import signature
from pathlib import Path as File
from time import perf_counter
from typing import Any

import diffusers
import torch
import transformers
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from torch import Tensor

from latentlab.bench.flags import main
from latentlab.generator.pipelines.call import unfit
from latentlab.generator.pipelines.driven import Driven
from latentlab.generator.pipelines.driver import CODECS, PICTURED, denoisers
from latentlab.generator.pipelines.families import FAMILIES
from latentlab.generator.pipelines.layout import Layout
from latentlab.generator.pipelines.path import Path
from latentlab.generator.pipelines.reading import pictures

SETTINGS = File(__file__).with_suffix(".json")
MEASURED = SETTINGS.with_name("pipelines_measured.json")
EQUAL = 2e-5  # of the spread of the pipeline's own latents, and of frames in [0, 1]
OTHERS = (  # replaced as their refusals say, or another solver of the same ODE
    "DDPMScheduler",
    "EulerAncestralDiscreteScheduler",
    "PNDMScheduler",
)
OTHERWISE = (  # families that read their conditions in another way than these calls: more tokens, no noise on the image
    "CogVideoXPipeline",
    "CogVideoXImageToVideoPipeline",
    "StableVideoDiffusionPipeline",
)
CAPTIONS, NEGATIVE = ["a small dog runs", "one red car stops"], "blurry"
MARKS = ("<pad>", "<s>", "</s>", "<unk>")
WORDS = "a an the red blue green small big dog cat car star runs stops moves left right one two of in on sharp blurry"
CHAT = (
    "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }} {% else %}{% for c in m['content'] %}"
    "{{ c.get('text', '') }} {% endfor %}{% endif %}{% endfor %}"
)


@dataclass
class Row:
    """What became of one class.

    Attributes:
        name, status: of the class: "checked", "DIFFERS", "refused: why" or "not tried".
        latents: largest difference from the pipeline's own over their spread, by guidance.
        frames: largest difference of frames in [0, 1], by guidance.
        leapfrog: largest difference of latents that went to noise and came back.
        family: largest difference from latentlab's own code for the family, over the spread.
        video, batches: whether it makes clips, and takes several at once.
        denoisers: classes of its networks between noise and latents.
        account: what was read of it.
        seconds: that all this took.
    """

    name: str
    status: str
    latents: dict[str, float] = field(default_factory=dict)
    frames: dict[str, float] = field(default_factory=dict)
    leapfrog: float | None = None
    family: float | None = None
    video: bool = False
    batches: bool = False
    denoisers: list[str] = field(default_factory=list)
    account: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        figures = [self.latents.get("1"), self.latents.get("3"), self.frames.get("1"), self.frames.get("3")]
        told = "".join(f"{'' if x is None else f'{x:.0e}':>7}" for x in (*figures, self.leapfrog, self.family))
        return f"{self.name.removesuffix('Pipeline'):34}{'video' if self.video else '':6}{told}  {self.status}"


def built(name: str) -> tuple[Any, tuple[int | None, int | None, int | None], dict[str, Any]]:
    """A tiny pipeline, the size of its clips, and further arguments of its call."""
    known = json.loads(SETTINGS.read_text())[name]
    torch.manual_seed(0)
    parts = {part: _part(*made) if _is_part(made) else made for part, made in known["components"].items()}
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            _awake(part.eval())
    # Of Kandinsky 3 a random U-Net draws latents of 12 standard deviations, at which the random decoder makes 2e-5 of a
    # change of 1e-6.
    for layer, factor in known.get("calm", {}).items():
        part, _, inside = layer.partition(".")
        parts[part].get_submodule(inside).weight.data *= factor
    pipe = getattr(diffusers, name)(**parts)
    if name == "AllegroPipeline":
        pipe.vae.enable_tiling()  # without, its decoder is not written
    if (own := pipe.scheduler.config).get("use_flow_sigmas"):  # another solver of the same ODE
        pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=own.get("flow_shift") or 1.0)
    elif type(pipe.scheduler).__name__ in OTHERS:
        pipe.scheduler = diffusers.DDIMScheduler.from_config(own, clip_sample=False)
    elif own.get("clip_sample") or own.get("solver_order"):
        pipe.scheduler = type(pipe.scheduler).from_config(own, clip_sample=False, solver_order=1)
    for attribute, value in known.get("set", {}).items():
        setattr(pipe, attribute, value)
    pipe.set_progress_bar_config(disable=True)
    return pipe, tuple(known["size"]), {name: _given(value) for name, value in known["call"].items()}


def checked(name: str) -> Row:
    """One class, against its own call."""
    begun = perf_counter()
    pipe, (frames, height, width), call = built(name)
    row = Row(name, "", video=frames is not None)
    try:
        generator = Driven(pipe, call=call, num_frames=frames, height=height, width=width)
    except (ValueError, TypeError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        row.status, row.seconds = f"refused: {_line(error)}", round(perf_counter() - begun, 1)
        return row
    row.video = generator.call.frames is not None
    row.batches, row.account = generator.reading.batches, str(generator.account)
    row.denoisers = sorted({type(getattr(pipe, part)).__name__ for part in denoisers(pipe)})
    try:
        _compare(row, generator, CAPTIONS if generator.reading.batches else CAPTIONS[:1])
    except (RuntimeError, ValueError):
        if not generator.reading.batches:
            raise
        row.batches = False  # it reads two captions and fails at two clips
        _compare(row, generator, CAPTIONS[:1])
    worst = max(*row.latents.values(), *row.frames.values(), row.family or 0.0)
    row.status = "checked" if worst <= EQUAL and row.leapfrog == 0 else "DIFFERS"
    row.seconds = round(perf_counter() - begun, 1)
    return row


def _compare(row: Row, generator: Driven, captions: list[str]) -> None:
    """Fills a row with the differences from the pipeline's own call."""
    name, pipe = row.name, generator.pipe
    noise, layout = generator.noise(len(captions)), generator.layout(generator.size)
    bytes_ = torch.randint(256, (len(captions), 3, generator.config.height, generator.config.width))
    image = bytes_ / 127.5 - 1 if generator.call.reads_images else None
    shown_images, hole, stencils = None if image is None else pictures(image), {}, None
    if image is not None and generator.heard_mask is not None:  # the left half of an image is drawn anew
        image, mask = image[:, :, None], torch.zeros(len(captions), 1, 1, *bytes_.shape[2:])
        mask[..., : bytes_.shape[3] // 2] = 1
        hole = {"mask": mask}
        stencils = [[Image.fromarray((255 * m).byte().numpy())] for m in mask[:, 0, 0]]
    negative = [NEGATIVE] * len(captions) if "negative_prompt" in generator.call.signature else None
    condition = generator.condition(captions, negative=negative, image=image, **hole)
    for guidance in (1.0,) if generator.reading.guidance == "none" else (1.0, 3.0):
        ours = generator.sample(noise, condition, num_steps=5, method="ddim", guidance=guidance)
        told = generator.call.arguments(
            captions,
            generator.size,
            guidance=guidance,
            num_steps=5,
            negative=negative if guidance > 1 else None,
            images=shown_images,
            masks=stencils,
        )
        begun, ended = _ends(generator)
        coded, shown = _called(pipe, told, noise * begun, layout)
        theirs = layout.normal(layout.of_clips(coded, len(captions))) * ended
        row.latents[f"{guidance:g}"] = float((ours - theirs).abs().max() / theirs.std())
        drawn = generator.decode(ours)[:, :, -shown.shape[2] :]  # HunyuanVideoImageToVideo leaves out the first four
        row.frames[f"{guidance:g}"] = float((drawn / 2 + 0.5 - shown).abs().max())
        if name in FAMILIES and guidance == 1.0 and not layout.held.any() and name not in OTHERWISE:
            own: Any = FAMILIES[name](pipe)
            own.config = generator.config
            if name.startswith("StableVideo"):
                told = own.condition(image)
            else:
                told = own.condition(captions) if image is None else own.condition(captions, image=image)
            known = own.sample(noise, told, num_steps=5, method="ddim", guidance=guidance)
            row.family = float((ours - known).abs().max() / known.std())
    clip = generator.completed(noise, condition)
    inverted = generator.invert(clip, condition, num_steps=3, method="leapfrog")
    row.leapfrog = float((generator.sample(inverted) - clip).abs().max())


def _ends(generator: Driven) -> tuple[float, float]:
    """Noise that is begun with over the call's own, and latents over what its last state is taken for.

    Both have unit variance here whatever their level, data and noise together. A call that begins at a level below 1
    begins as if there were no data in it, and one that ends above 0 as if there were no noise left (Cosmos: 8e-5 and
    8e-6 off; Helios: 1e-3 and 0); states that preserve variance have it so by themselves.
    """
    path = generator.path(generator.size)
    first, *_, last = generator.levels(5, generator.latent_shape).tolist()
    if path.kind == "preserving":
        return 1.0, 1.0
    spread = [math.hypot(1 - s, s) for s in (first, last)]
    return (spread[0], 1 / spread[1]) if path.flow else (spread[0] / first, (1 - last) / spread[1])


def listed() -> list[str]:
    """Classes of the installed diffusers whose call makes pictures in steps."""
    names = []
    for name in dir(diffusers):
        if not name.endswith("Pipeline") or name.endswith("ModularPipeline") or "Onnx" in name:
            continue
        kind = getattr(diffusers, name)
        if "num_inference_steps" in signature(kind.__call__).parameters and "udio" not in name:
            names.append(name)
    return names


def table(rows: Mapping[str, Row]) -> list[Row]:
    """A row for every class of the installed diffusers: those measured, and why others are not."""
    every = []
    for name in listed():
        if name in rows:
            every.append(rows[name])
        else:
            reason = unfit(getattr(diffusers, name))
            every.append(Row(name, "not tried" if reason is None else f"refused: {reason}"))
    return every


def read_rows(file: File = MEASURED) -> dict[str, Row]:
    """Rows that were measured before."""
    return {row["name"]: Row(**row) for row in json.loads(file.read_text())} if file.is_file() else {}


def _called(pipe: Any, told: Mapping[str, Any], noise: Tensor, layout: Layout) -> tuple[Tensor, Tensor]:
    """What comes to the autoencoder in `pipe(...)`, and the clips that it returns, in [0, 1].

    The noise is told as `latents=` where the pipeline scales it, else it is put in the place of what it draws, beside
    what is held of an image. A checker of contents reads the caption and not the frames, which it rounds to bytes. What
    surrounds a hole, and pictures that a branch follows, are encoded by the mode, as they are when driven.
    """
    codec = next(part for name in CODECS if (part := getattr(pipe, name, None)) is not None)
    decoding, making, checker, came = codec.decode, pipe.prepare_latents, getattr(pipe, "safety_checker", None), []
    encoding, fixed = codec.encode, any(name in told for name in PICTURED)

    def encode(x: Tensor, *args: Any, **options: Any) -> Any:
        found = encoding(x, *args, **options)
        if isinstance(found[0], DiagonalGaussianDistribution):
            draw, mode = found[0].sample, found[0].mode
            found[0].sample = lambda generator=None: mode() if fixed or generator is None else draw(generator)
        return found

    def decode(z: Tensor, *args: Any, **options: Any) -> Any:
        came.append(z.detach().float())
        if checker is not None:
            pipe.safety_checker = None
        return decoding(z, *args, **options)

    def prepared(*args: Any, **options: Any) -> Any:
        made = making(*args, **options)
        several = isinstance(made, tuple | list)
        state = layout.placed(noise, made[0] if several else made)
        return (state, *made[1:]) if several else state

    codec.decode, codec.encode = decode, encode
    path = Path.of(pipe.scheduler)
    if path.flow:
        pipe.prepare_latents = prepared
    else:
        told = {**told, "latents": layout.states(noise)}
    try:
        with torch.no_grad():
            shown = pipe(**told)[0]
    finally:
        del codec.decode, codec.encode
        vars(pipe).pop("prepare_latents", None)
        if checker is not None:
            pipe.safety_checker = checker
    shown = torch.as_tensor(shown) if not isinstance(shown, list) else torch.stack([torch.as_tensor(x) for x in shown])
    if shown.min() < -1e-3 or shown.max() > 1 + 1e-3:  # some calls return tensors as the autoencoder made them
        shown = (shown / 2 + 0.5).clamp(0, 1)
    if shown.ndim == 4:
        return torch.cat(came), shown[:, :, None]
    return torch.cat(came), shown if shown.shape[1] == 3 and shown.shape[2] != 3 else shown.transpose(1, 2)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"({File(frame.filename).name}:{frame.lineno})"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def _given(value: Any) -> Any:
    """An argument of a call: pictures and tensors by their sizes."""
    if not isinstance(value, list) or not value or value[0] not in ("tensor", "tensors", "image", "images"):
        return value
    kind, (first, *shape) = value
    random = torch.Generator().manual_seed(2)
    if kind == "tensor":
        return torch.rand(first, *shape, generator=random)
    if kind == "tensors":
        return [torch.rand(*shape, generator=random) for _ in range(first)]
    if kind == "image":
        return Image.new("RGB", (shape[0], first), (128, 64, 32))
    return [Image.new("RGB", (shape[1], shape[0]), (128, 8 * i, 32)) for i in range(first)]


class Passing:
    """In the place of a checker of contents, which would be fetched."""

    def to(self, *args: Any) -> Passing:
        del args
        return self

    def check_text_safety(self, text: str) -> bool:
        del text
        return True

    def check_video_safety(self, frames: Any) -> Any:
        return frames


def _is_part(made: Any) -> bool:
    return isinstance(made, list) and isinstance(made[0], str)


def _part(kind: str, settings: Any) -> Any:
    if kind == "tokenizer":
        return _tokenizer(settings)
    if kind == "passing":
        return Passing()
    library, _, name = kind.rpartition(".")
    own = getattr(import_module(library), name)
    if library.startswith("diffusers"):
        return own.from_config(settings)
    if hasattr(own, "config_class"):
        return own(own.config_class.from_dict(settings))
    return own.from_dict(settings)


def _tokenizer(length: int) -> transformers.PreTrainedTokenizerFast:
    """Words for numbers; a chat is what was said in it."""
    own = Tokenizer(WordLevel({word: i for i, word in enumerate((*MARKS, *WORDS.split()))}, unk_token="<unk>"))
    own.pre_tokenizer = Whitespace()
    own.post_processor = TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    marks = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    made = transformers.PreTrainedTokenizerFast(tokenizer_object=own, model_max_length=length, **marks)
    made.chat_template = CHAT
    return made


def _awake(network: torch.nn.Module) -> None:
    """Draws what starts at zero, so that every path carries something."""
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() and parameter.is_floating_point() and parameter.abs().max() == 0:
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=random))


@dataclass(frozen=True)
class Config:
    """Which classes, and where their rows are kept.

    Args:
        only: names, with or without "Pipeline", that are measured anew; none is all that are not in the file.
        rows: JSON of the rows.
    """

    only: tuple[str, ...] = ()
    rows: str = str(MEASURED)


def run(config: Config) -> dict[str, str]:
    """A line for each class, said as it is made, and the table of all."""
    file, known = File(config.rows), json.loads(SETTINGS.read_text())
    rows = read_rows(file)
    wanted = [f"{name.removesuffix('Pipeline')}Pipeline" for name in config.only]
    for name in wanted or [name for name in sorted(known) if name not in rows and hasattr(diffusers, name)]:
        try:
            rows[name] = checked(name)
        except Exception as error:  # whatever a class does, the others are still to be asked
            why = f"failed: {type(error).__name__}: {_line(error)} {_place(error)}"
            rows[name] = Row(name, why, video=bool(known[name]["size"][0]))
        file.write_text(json.dumps([asdict(rows[key]) for key in sorted(rows)], indent=1) + "\n")
        print(rows[name], flush=True)
    every = table(rows)
    if not wanted:
        print(summary(every))
    return {row.name: row.status for row in every if not wanted or row.name in wanted}


def summary(rows: list[Row]) -> str:
    """The table, and the counts under it."""
    done = [row for row in rows if row.status == "checked"]
    refused = [row for row in rows if row.status.startswith("refused")]
    untried = [row.name for row in rows if row.status == "not tried"]
    kinds = {kind for row in done for kind in row.denoisers}
    columns = "".join(f"{name:>7}" for name in ("z, 1", "z, 3", "px, 1", "px, 3", "back", "family"))
    return "\n".join([
        f"{'':40}{columns}",
        *map(str, rows),
        f"{len(rows)} classes: {len(done)} checked to {EQUAL:g}, {sum(row.video for row in done)} of them of video and "
        f"{len(kinds)} denoisers among them; {len(refused)} refused with the reason; {len(untried)} not tried: "
        f"{', '.join(untried)}",
    ])  # fmt: skip


if __name__ == "__main__":
    main(run)
