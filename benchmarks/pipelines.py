"""Every pipeline class of diffusers that makes clips or images of captions or an image: checked, refused, or not tried.

    python benchmarks/pipelines.py                      # the table of all that are known here, tens of minutes on a CPU
    python benchmarks/pipelines.py --only Flux,Latte # some

Tiny pipelines of random weights are built from their classes by the settings in `pipelines.json` beside this file,
which are those of diffusers' own tests (Apache-2.0), with tokenizers of a few words in the place of trained ones. Each
is loaded by `latentlab.load(pipe)`, which compares two steps with the pipeline's own call, and then held against that
call over five steps without and with guidance, and against itself there and back by leapfrog.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from latentlab.bench.flags import main
from latentlab.generator.pipelines.driven import Driven

SETTINGS = Path(__file__).with_suffix(".json")
EQUAL = 2e-5  # of the spread of the pipeline's own latents
CAPTION = "a small dog runs"
MARKS = ("<pad>", "<s>", "</s>", "<unk>")
WORDS = "a an the red blue green small big dog cat car star runs stops moves left right one two of in on sharp blurry"
CHAT = (
    "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }} {% else %}{% for c in m['content'] %}"
    "{{ c.get('text', '') }} {% endfor %}{% endif %}{% endfor %}"
)


@dataclass
class Row:
    """What became of one class; differences over the spread of the pipeline's own latents."""

    name: str
    status: str
    plain: float | None = None
    guided: float | None = None
    leapfrog: float | None = None

    def __str__(self) -> str:
        numbers = "".join(f"{'' if x is None else f'{x:.0e}':>8}" for x in (self.plain, self.guided, self.leapfrog))
        return f"{self.name:42}{numbers}  {self.status}"


def built(name: str) -> tuple[Any, tuple[int | None, int | None, int | None], dict[str, Any]]:
    """A tiny pipeline, the size of its clips, and further arguments of its call."""
    known = json.loads(SETTINGS.read_text())[name]
    torch.manual_seed(0)
    parts = {part: _part(*made) if made else None for part, made in known["components"].items()}
    for part in parts.values():
        if isinstance(part, torch.nn.Module):
            _awake(part.eval())
    pipe = getattr(diffusers, name)(**parts)
    if name == "AllegroPipeline":
        pipe.vae.enable_tiling()  # without, its decoder is not written
    if (own := pipe.scheduler.config).get("use_flow_sigmas"):  # another solver of the same ODE
        pipe.scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=own.get("flow_shift") or 1.0)
    pipe.set_progress_bar_config(disable=True)
    return pipe, tuple(known["size"]), known["call"]


def checked(name: str) -> Row:
    """One class, against its own call."""
    pipe, (frames, height, width), call = built(name)
    try:
        generator = Driven(pipe, call=call, num_frames=frames, height=height, width=width)
    except (ValueError, TypeError, RuntimeError, IndexError) as error:
        return Row(name, f"refused: {str(error)[:160]}")
    layout, noise, found = generator.layout(generator.size), generator.noise(1), []
    condition = generator.condition(CAPTION)
    for guidance in (1.0, 3.0):
        if guidance != 1.0 and generator.guidance == "none":
            found.append(None)
            continue
        ours = generator.sample(noise, condition, num_steps=5, method="ddim", guidance=guidance)
        told = generator.call.arguments([CAPTION], generator.size, guidance=guidance, num_steps=5)
        with torch.no_grad():
            theirs = pipe(**told | {"latents": layout.states(noise), "output_type": "latent"})[0]
        if tuple(theirs.shape) != layout.stepped:  # a call that unpacks its latents shows frames alone
            found.append(None)
            continue
        theirs = layout.latents(theirs.float(), 1)
        found.append(float((ours - theirs).abs().max() / theirs.std()))
    inverted = generator.invert(noise, condition, num_steps=3, method="leapfrog")
    back = float((generator.sample(inverted) - noise).abs().max())
    plain, guided = found
    known = [x for x in found if x is not None]
    held = "at load alone" if not known else "checked" if max(known) <= EQUAL and back == 0 else "DIFFERS"
    return Row(name, f"{held}; {generator.account}", plain, guided, back)


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


def _part(kind: str, settings: Any) -> Any:
    if kind == "tokenizer":
        return _tokenizer(settings)
    library, name = kind.split(".")
    own = getattr({"diffusers": diffusers, "transformers": transformers}[library], name)
    if library == "diffusers":
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
    """Which classes.

    Args:
        only: their names, with or without "Pipeline"; none is all that are known here.
    """

    only: tuple[str, ...] = ()


def table(config: Config) -> dict[str, str]:
    """A line for each class, said as it is made."""
    known = json.loads(SETTINGS.read_text())
    names = [f"{name.removesuffix('Pipeline')}Pipeline" for name in config.only] or sorted(known)
    rows = []
    for name in names:
        try:
            rows.append(checked(name))
        except Exception as error:  # whatever a class does, the others are still to be asked
            rows.append(Row(name, f"refused: {type(error).__name__}: {str(error)[:160]}"))
        print(rows[-1], flush=True)
    done = [row for row in rows if row.status.startswith("checked")]
    video = [row for row in done if known[row.name]["size"][0]]
    print(f"{len(done)} checked to {EQUAL:g}, {len(video)} of them of video, {len(rows) - len(done)} not, as it says")
    if not config.only:
        others = [name for name in listed() if name not in known]
        print(f"not tried, {len(others)}: {', '.join(others)}")
    return {row.name: row.status for row in rows}


if __name__ == "__main__":
    main(table)
