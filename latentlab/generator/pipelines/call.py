"""The call of a pipeline of diffusers: which arguments it takes, and what its encoders answer."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from PIL import Image

from latentlab.generator.pipelines.driver import CODECS, DENOISERS, codec_name, denoisers, visit
from latentlab.generator.pipelines.foreign import MakesNoise, check_scheduled, part, token_width
from latentlab.generator.pipelines.remembered import Answers
from latentlab.generator.pipelines.visit import Visit

FRAMES = ("num_frames", "video_length", "frames")  # what calls name the length of a clip
GUIDANCE = ("guidance_scale", "true_cfg_scale", "max_guidance_scale")  # and the weight of its caption
SCALES = ("controlnet_conditioning_scale", "conditioning_scale")  # what they call the strength of a control branch
SOUND = ("audio_vae", "vocoder", "sound_tokenizer")
_TWO_RUNS = (
    "its call makes two runs: a prior, of a scheduler of its own, draws the embeddings that the second is told of"
)
Size = tuple[int | None, int | None, int | None]  # frames, height, width; None is the call's own


class Call:
    """A pipeline's call.

    Args:
        pipe: the pipeline.
        more: arguments that every call is given.

    Attributes:
        guided_by: the argument that weighs the caption; None are all of them.
        neutral: its value where there is no guidance: 1, or 0 for calls that count from the caption onwards.

    Raises:
        ValueError: a pipeline whose call cannot be driven; the message says why.
    """

    def __init__(self, pipe, more: Mapping[str, Any]) -> None:
        self.pipe, self.more = pipe, dict(more)
        self.signature = dict(inspect.signature(type(pipe).__call__).parameters)
        self.guided_by: str | None = None
        self.neutral = 1.0
        self._check_drivable()

    @property
    def name(self) -> str:
        return type(self.pipe).__name__

    @property
    def frames(self) -> str | None:
        """The argument that is the length of a clip; None where images are made."""
        return next((name for name in FRAMES if name in self.signature), None)

    @property
    def max_tokens(self) -> int | None:
        """How many tokens of a caption it reads, where it says so."""
        own = self.signature.get("max_sequence_length")
        return self.more.get("max_sequence_length", None if own is None else own.default)

    @property
    def reads_captions(self) -> bool:
        return "prompt" in self.signature and "prompt_embeds" not in self.more

    @property
    def reads_images(self) -> bool:
        """Whether there is an image that the clip is made of."""
        return "image" in self.signature and "image" not in self.more and (self.control or ("",))[0] != "image"

    @property
    def control(self) -> tuple[str, str] | None:
        """The arguments that are the pictures of a control branch, and its scale; None where there is no branch."""
        scale = next((name for name in SCALES if name in self.signature), None)
        pictures = ("video",) if scale == "conditioning_scale" else ("control_image", "image")
        picture = next((name for name in pictures if name in self.signature), None)
        return None if scale is None or picture is None else (picture, scale)

    @property
    def hole(self) -> tuple[str, str] | None:
        """The arguments that are a picture, or clip, and where it is drawn anew; None where no mask is read."""
        given = self.signature.keys() - self.more.keys()
        return next((pair for pair in (("image", "mask_image"), ("video", "mask")) if given.issuperset(pair)), None)

    def check(self, num_frames: int | None) -> None:
        """Says what the pipeline cannot be asked, before it is.

        Raises:
            ValueError: an argument that its call has not, several frames of images, captions without their encoder.
        """
        self.check_known(self.more)
        if not self.frames and num_frames not in (None, 1):
            raise ValueError(f"{self.name} makes images, clips of one frame, got num_frames={num_frames}")
        optional = part(self.pipe, "_optional_components") or ()
        for name, own in self.pipe.components.items():
            if own is None and name.startswith("text_encoder") and name not in optional and self.reads_captions:
                raise ValueError(
                    f"this {self.name} was loaded without its {name}, so it reads no caption; load it whole, or with "
                    "call={'prompt_embeds': ...}"
                )

    def check_known(self, names: Iterable[str]) -> None:
        """Raises a ValueError for a name that no argument of the call has."""
        if unknown := [name for name in names if name not in self.signature]:
            has = ", ".join(name for name in self.signature if name != "self")
            raise ValueError(f"the call of {self.name} has no argument {unknown[0]!r}; it has {has}")

    def arguments(
        self,
        captions: Sequence[str],
        size: Size,
        *,
        guidance: float = 1.0,
        negative: Sequence[str] | None = None,
        images: Sequence[Image.Image] | Sequence[list[Image.Image]] | None = None,
        masks: Sequence[list[Image.Image]] | None = None,
        num_steps: int = 2,
        **more: Any,
    ) -> dict[str, Any]:
        """Arguments for some captions.

        Without images they are grey where the pipeline reads any, without masks all is drawn. Where there are masks,
        images and masks are lists of frames, one for each caption.
        """
        told: dict[str, Any] = {"num_inference_steps": num_steps, "output_type": "pt"}
        if self.reads_captions and "prompt_embeds" not in more:
            told["prompt"] = _few(captions)
        if negative is None and self.guided_by == "true_cfg_scale" and guidance != 1.0:
            negative = [""] * len(captions)  # without any the call takes no second caption
        if negative is not None and "negative_prompt" in self.signature:
            told["negative_prompt"] = _few(negative)
        for name, value in zip((self.frames, "height", "width"), size, strict=True):
            if name in self.signature and name is not None and value is not None:
                told[name] = value
        if "use_resolution_binning" in self.signature:  # the size that is asked for, not the nearest of its training
            told["use_resolution_binning"] = False
        if "generator" in self.signature:
            told["generator"] = torch.Generator().manual_seed(0)
        told |= {name: self.neutral for name in (*GUIDANCE, "min_guidance_scale") if name in self.signature}
        if self.guided_by is not None:
            told[self.guided_by] = guidance - 1 + self.neutral
        if self.reads_images:
            grey = Image.new("RGB", (size[2] or 64, size[1] or 64), (128, 128, 128))
            alone = [image[0] if isinstance(image, list) else image for image in images or [grey] * len(captions)]
            told["image"] = _few(alone)
        if self.control and self.control[0] != "video" and self.control[0] not in self.more:  # not told of anything
            black = Image.new("RGB", (size[2] or 64, size[1] or 64))
            nets = len(part(self.pipe.controlnet, "nets") or [None])
            told[self.control[0]], told[self.control[1]] = _few([black] * nets), _few([0.0] * nets)
        if self.hole == ("image", "mask_image"):
            white = Image.new("L", (size[2] or 64, size[1] or 64), 255)
            told["mask_image"] = _few([white] * len(captions) if masks is None else [mask[0] for mask in masks])
            told |= {"strength": 1.0} if "strength" in self.signature else {}  # all noise at the start
        elif self.hole and images is not None and masks is not None:
            told["video"], told["mask"] = images[0], masks[0]  # these take one clip at a time
        told, more = ({k: v for k, v in given.items() if v is not None} for given in (told, more))
        return {**told, **self.more, **more}

    def visit(self, told: Mapping[str, Any], seen: Visit) -> Visit:
        """Makes the call; see `driver.visit`."""
        return visit(self.pipe, told, seen)

    def answers(self, captions: Sequence[str], size: Size, **options: Any) -> Answers:
        """What the encoders answer to captions.

        Noise is among the answers where an image is, which may be coded with it; else it is made anew, at any size.
        """
        seen = self.visit(self.arguments(captions, size, **options), Visit("network"))
        return [(name, found) for name, found in seen.encoded if name != "prepare_latents" or self.reads_images]

    def unread(self, error: RuntimeError) -> Exception:
        """What the denoiser could not do, as the embeddings that the call was given instead of captions explain it."""
        given = [
            f"{name} {tuple(t.shape)}"
            for name, t in self.more.items()
            if "embeds" in name and isinstance(t, torch.Tensor)
        ]
        if not given:
            return error
        denoiser = getattr(self.pipe, denoisers(self.pipe)[0])
        width = token_width(denoiser)
        reads = "" if width is None else f", which reads tokens of (caption, token, {width})"
        return ValueError(
            f"{', '.join(given)}: not what the {type(denoiser).__name__} of this {self.name} takes{reads} ({error}); "
            "make them by pipe.encode_prompt(...) of the text encoders that it was trained with"
        )

    def _check_drivable(self) -> None:
        check_scheduled(self.pipe)
        needs = {
            "autoencoder": codec_name(self.pipe) is not None,
            "denoiser (a transformer or U-Net)": bool(denoisers(self.pipe)),
            "number of steps in its call": "num_inference_steps" in self.signature,
            "method prepare_latents, in which noise is made": isinstance(self.pipe, MakesNoise),
        }
        if missing := [name for name, there in needs.items() if not there]:
            raise ValueError(f"{self.name} cannot be driven: it has no {', no '.join(missing)}")
        inside = self.signature.get("strength")
        if inside is not None and self.hole is None and self.more.get("strength", inside.default) != 1.0:
            raise ValueError(
                f"{self.name} cannot be driven: its call starts inside the schedule, from an image or clip of its own; "
                "take the pipeline of captions of the same weights, or give call={'strength': 1.0}"
            )
        if streams := [name for name in SOUND if part(self.pipe, name) is not None]:
            raise ValueError(f"{self.name} cannot be driven: {_two_streams(streams)}")
        if part(self.pipe, "prior_scheduler") is not None:
            raise ValueError(
                f"{self.name} cannot be driven: {_TWO_RUNS}; take the pipeline that is given those embeddings"
            )
        for place in ("guider", "ocr_guider"):
            if (guider := part(self.pipe, place)) is not None and (why := _by_steps(guider)):
                raise ValueError(
                    f"{self.name} cannot be driven: its {place}, {type(guider).__name__}, goes by the steps before "
                    f"({why}), so that no velocity belongs to a level alone; put another in its place, pipe.{place} = "
                    "diffusers.ClassifierFreeGuidance(guidance_scale=...)"
                )
        known = ("self", "prompt", "image", *(self.hole or ()), "height", "width", *FRAMES, *self.more)
        needed = [
            name
            for name, p in self.signature.items()
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and name not in known
        ]
        if needed:
            raise ValueError(
                f"the call of {self.name} also needs {', '.join(needed)}; give call={{{needed[0]!r}: ...}}"
            )


def _by_steps(guider: Any) -> str:
    """The setting of a guider by which its answer depends on how many steps were taken; "" where there is none."""
    fixed = {"start": 0.0, "stop": 1.0}
    told = {k: v for k, v in guider.config.items() if k.endswith(("momentum", "start_step")) or k in fixed}
    return next((f"{k}={v}" for k, v in told.items() if v is not None and v != fixed.get(k)), "")


def _few(items: Sequence) -> Any:
    return items[0] if len(items) == 1 else list(items)


def unfit(kind: type) -> str | None:
    """Why no pipeline of a class can be driven, as far as what it takes says so."""
    call, parts = inspect.signature(kind.__call__).parameters, inspect.signature(kind.__init__).parameters
    if (inside := call.get("strength")) is not None and inside.default != 1.0 and "mask_image" not in call:
        return "its call starts inside the schedule, from a clip or image of its own"
    if "scheduler" not in parts:
        return "it has no scheduler of its own"
    if not any(name in parts for name in CODECS):
        return "it has no autoencoder"
    if not any(name in parts for name in DENOISERS):
        return "it has no denoiser (a transformer or U-Net)"
    if not isinstance(kind, MakesNoise):
        return "it has no method prepare_latents, in which noise is made"
    if sound := [name for name in SOUND if name in parts]:
        return _two_streams(sound)
    if "prior_scheduler" in parts:
        return _TWO_RUNS
    return None


def _two_streams(sound: Sequence[str]) -> str:
    return (
        f"it steps sound beside the picture ({', '.join(sound)}), and each velocity depends on both; a clip holds the "
        "picture alone, so neither could it be inverted, nor edited and kept in step"
    )


def default_of(parameter: inspect.Parameter | None, otherwise: float) -> float:
    """The default of a parameter, where that is a number above 0."""
    value = None if parameter is None else parameter.default
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        return otherwise
    return float(value)
