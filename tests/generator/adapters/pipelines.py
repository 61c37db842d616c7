"""Tiny pipelines of random weights, one for each family, with the smallest clip each can hold."""

from __future__ import annotations

from dataclasses import dataclass

import diffusers
import torch


@dataclass(frozen=True)
class Tiny:
    """A pipeline and what its call needs.

    Args:
        pipe: the pipeline, without text encoder.
        video: frames, height and width of a clip it can hold.
        told: embeddings for its call.
    """

    pipe: diffusers.DiffusionPipeline
    video: tuple[int, int, int]
    told: dict[str, torch.Tensor]


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def wan_vae(seed: int = 0) -> diffusers.AutoencoderKLWan:
    torch.manual_seed(seed)
    return diffusers.AutoencoderKLWan(
        base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )


def wan(**settings) -> Tiny:
    vae = wan_vae()
    network = {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16,
        "out_channels": 16, "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32,
    }  # fmt: skip
    transformer = diffusers.WanTransformer3DModel(**network)
    other = diffusers.WanTransformer3DModel(**network) if settings.get("boundary_ratio") else None
    pipe = diffusers.WanPipeline(
        tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, transformer_2=other,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), **settings,
    )  # fmt: skip
    told = {"prompt_embeds": random(1, 16, 32), "negative_prompt_embeds": random(1, 16, 32, seed=1)}
    return Tiny(pipe, (9, 32, 32), told)


FAMILIES = {"wan": wan}
