"""A pipeline of its parts: a denoiser, an autoencoder and a scheduler, without the encoders of captions."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

from torch import nn

from latentlab.generator.pipelines.foreign import class_named

PIPELINES = {  # of denoisers whose names do not begin with their pipeline's
    "SD3Transformer2DModel": "StableDiffusion3Pipeline",
    "LTXVideoTransformer3DModel": "LTXPipeline",
    "PixArtTransformer2DModel": "PixArtSigmaPipeline",
    "UNet3DConditionModel": "TextToVideoSDPipeline",
    "UNetMotionModel": "AnimateDiffPipeline",
    "UNetSpatioTemporalConditionModel": "StableVideoDiffusionPipeline",
}


def assembled(denoiser: nn.Module, vae: nn.Module | None, scheduler: Any) -> Any:
    """The pipeline of captions that a denoiser of diffusers belongs to, every other part of it None.

    Raises:
        ValueError: no autoencoder or scheduler, or a denoiser of no pipeline that is known by it.
    """
    import diffusers

    own: Any = denoiser
    name = type(denoiser).__name__
    if vae is None or scheduler is None:
        missing = " and ".join(part for part, own in (("vae", vae), ("scheduler", scheduler)) if own is None)
        raise ValueError(f"a {name} alone makes no clips; give its {missing}, too: load(denoiser, vae, scheduler)")
    found = PIPELINES.get(name, f"{name.split('Transformer')[0]}Pipeline")
    if name == "UNet2DConditionModel":
        sizes_told = own.config.get("addition_embed_type") == "text_time"
        found = "StableDiffusionXLPipeline" if sizes_told else "StableDiffusionPipeline"
    kind = class_named(diffusers, found)
    if not isinstance(kind, type):
        raise ValueError(
            f"which pipeline of diffusers a {name} belongs to is not known here; build it, and give load(pipe)"
        )
    takes = signature(kind.__init__).parameters
    role = next((role for role in ("transformer", "unet") if role in takes), "transformer")
    parts: dict[str, Any] = {p: None for p, told in takes.items() if told.default is Parameter.empty and p != "self"}
    if "requires_safety_checker" in takes:
        parts["requires_safety_checker"] = False
    return kind(**parts | {role: denoiser, "vae": vae, "scheduler": scheduler})
