"""Tiny pipelines of random weights with text encoders and tokenizers of their own, as they are held in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import diffusers
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

CALM = 0.3  # random U-Nets are far rougher than trained ones
SAID = "a an the red blue green small big dog cat car star runs stops moves left right one two of in on sharp blurry"


@dataclass
class Whole:
    """A pipeline, the size of a clip it can hold (frames, height, width), and further arguments of its call."""

    pipe: Any
    size: tuple[int | None, int, int]
    call: dict[str, Any] = field(default_factory=dict)


def tokenizer(length: int = 16) -> PreTrainedTokenizerFast:
    marks = ["<pad>", "<s>", "</s>", "<unk>"]
    vocabulary = {word: i for i, word in enumerate([*marks, *SAID.split()])}
    own = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    own.pre_tokenizer = pre_tokenizers.Whitespace()
    own.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return PreTrainedTokenizerFast(
        tokenizer_object=own, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>",
        model_max_length=length,
    )  # fmt: skip


def t5(width: int = 32) -> T5EncoderModel:
    torch.manual_seed(0)
    return T5EncoderModel(
        T5Config(d_model=width, d_ff=2 * width, d_kv=8, num_heads=2, num_layers=1, vocab_size=64,
                 relative_attention_num_buckets=8, dense_act_fn="gelu")
    ).eval()  # fmt: skip


def clip_text(width: int = 32, *, projected: bool = False, layers: int = 2):
    torch.manual_seed(1)
    config = CLIPTextConfig(
        hidden_size=width, intermediate_size=width, num_attention_heads=2, num_hidden_layers=layers, vocab_size=64,
        max_position_embeddings=77, projection_dim=width, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    )  # fmt: skip
    return (CLIPTextModelWithProjection if projected else CLIPTextModel)(config).eval()


def image_vae(channels: int = 4, **more: Any) -> diffusers.AutoencoderKL:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=channels, norm_num_groups=2, **more,
    )  # fmt: skip


def unet(**more: Any) -> diffusers.UNet2DConditionModel:
    torch.manual_seed(0)
    own = {
        "block_out_channels": (8, 16), "layers_per_block": 1, "sample_size": 8, "in_channels": 4, "out_channels": 4,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"), "cross_attention_dim": 32, "norm_num_groups": 2,
        "attention_head_dim": 8,
    }  # fmt: skip
    network = diffusers.UNet2DConditionModel(**(own | more))
    network.conv_out.weight.data *= CALM
    return network


def ddim(**more: Any) -> diffusers.DDIMScheduler:
    own = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
    return diffusers.DDIMScheduler(**own, set_alpha_to_one=False, steps_offset=1, timestep_spacing="leading", **more)


def stable_diffusion(kind: type = diffusers.StableDiffusionPipeline, **parts: Any) -> Whole:
    own = {
        "vae": image_vae(), "text_encoder": clip_text(), "tokenizer": tokenizer(77), "unet": unet(),
        "scheduler": ddim(), "safety_checker": None, "feature_extractor": None, "requires_safety_checker": False,
    }  # fmt: skip
    return Whole(kind(**(own | parts)), (None, 64, 64))


def sdxl(kind: type = diffusers.StableDiffusionXLPipeline, **parts: Any) -> Whole:
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1, timestep_spacing="leading"
    )
    own = {
        "vae": image_vae(), "text_encoder": clip_text(), "text_encoder_2": clip_text(projected=True),
        "tokenizer": tokenizer(77), "tokenizer_2": tokenizer(77), "unet": sdxl_unet(), "scheduler": scheduler,
    }  # fmt: skip
    return Whole(kind(**(own | parts)), (None, 64, 64))


def sd3(kind: type = diffusers.StableDiffusion3Pipeline, *, layers: int = 1, **parts: Any) -> Whole:
    torch.manual_seed(0)
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=32, patch_size=1, in_channels=4, num_layers=layers, attention_head_dim=8, num_attention_heads=4,
        caption_projection_dim=32, joint_attention_dim=64, pooled_projection_dim=64, out_channels=4,
    )  # fmt: skip
    own = {
        "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), "transformer": transformer,
        "vae": image_vae(shift_factor=0.06, scaling_factor=1.5), "text_encoder": clip_text(16, projected=True),
        "text_encoder_2": clip_text(48, projected=True), "text_encoder_3": t5(64), "tokenizer": tokenizer(77),
        "tokenizer_2": tokenizer(77), "tokenizer_3": tokenizer(77),
    }  # fmt: skip
    return Whole(kind(**(own | parts)), (None, 32, 32), {"max_sequence_length": 32})


def flux(kind: type = diffusers.FluxPipeline, *, embeds: bool = True, **parts: Any) -> Whole:
    transformer = flux_transformer(embeds=embeds)
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.5, max_shift=1.15, base_image_seq_len=256, max_image_seq_len=4096
    )
    own = {
        "scheduler": scheduler, "vae": image_vae(shift_factor=0.1, scaling_factor=0.36), "text_encoder": clip_text(),
        "text_encoder_2": t5(), "tokenizer": tokenizer(77), "tokenizer_2": tokenizer(32), "transformer": transformer,
    }  # fmt: skip
    return Whole(kind(**(own | parts)), (None, 64, 64), {"max_sequence_length": 32})


def sdxl_unet(**more: Any) -> diffusers.UNet2DConditionModel:
    return unet(
        addition_embed_type="text_time", addition_time_embed_dim=8, projection_class_embeddings_input_dim=6 * 8 + 32,
        cross_attention_dim=64, transformer_layers_per_block=(1, 2), use_linear_projection=True, **more,
    )  # fmt: skip


def flux_transformer(channels: int = 16, *, embeds: bool = True) -> diffusers.FluxTransformer2DModel:
    torch.manual_seed(0)
    return diffusers.FluxTransformer2DModel(
        patch_size=1, in_channels=channels, out_channels=16, num_layers=1, num_single_layers=1, attention_head_dim=16,
        num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32, axes_dims_rope=[4, 4, 8],
        guidance_embeds=embeds,
    )  # fmt: skip


def controlnet(network: Any, *, seed: int = 0) -> torch.nn.Module:
    """A ControlNet of random weights beside a U-Net or transformer, whose zero convolutions carry something."""
    torch.manual_seed(seed)
    kinds = {
        "UNet2DConditionModel": lambda: diffusers.ControlNetModel.from_unet(
            network, conditioning_embedding_out_channels=(8, 8, 8, 8)
        ),
        "FluxTransformer2DModel": lambda: diffusers.FluxControlNetModel.from_transformer(
            network, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2
        ),
        "SD3Transformer2DModel": lambda: diffusers.SD3ControlNetModel.from_transformer(
            network, num_layers=1, num_extra_conditioning_channels=0, load_weights_from_transformer=False
        ),
    }
    own = kinds[type(network).__name__]()
    with torch.no_grad():
        for parameter in own.parameters():
            if parameter.abs().max() == 0:
                parameter.normal_(std=0.05)
    return own.eval()


def vace() -> Whole:
    torch.manual_seed(0)
    transformer = diffusers.WanVACETransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32, vace_layers=[0], vace_in_channels=96,
    )  # fmt: skip
    own = wan(transformer=transformer)
    return Whole(diffusers.WanVACEPipeline(**own.pipe.components), own.size)


def wan(**parts: Any) -> Whole:
    torch.manual_seed(0)
    settings = UMT5Config(
        d_model=32, d_ff=64, d_kv=8, num_heads=2, num_layers=1, vocab_size=64, relative_attention_num_buckets=8
    )
    transformer = diffusers.WanTransformer3DModel(
        patch_size=(1, 2, 2), num_attention_heads=2, attention_head_dim=12, in_channels=16, out_channels=16,
        text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2, cross_attn_norm=True, qk_norm="rms_norm_across_heads",
        rope_max_seq_len=32,
    )  # fmt: skip
    vae = diffusers.AutoencoderKLWan(
        base_dim=4, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    own = {
        "tokenizer": tokenizer(512), "text_encoder": UMT5EncoderModel(settings).eval(), "vae": vae,
        "transformer": transformer, "scheduler": diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0),
    }  # fmt: skip
    return Whole(diffusers.WanPipeline(**(own | parts)), (9, 32, 32))


def skyreels(**parts: Any) -> Whole:
    """What Wan is, of another class, which no family here knows."""
    own = wan().pipe.components
    torch.manual_seed(0)
    transformer = diffusers.SkyReelsV2Transformer3DModel(
        num_attention_heads=2, attention_head_dim=12, text_dim=32, freq_dim=32, ffn_dim=32, num_layers=2,
        rope_max_seq_len=32,
    )  # fmt: skip
    known = {name: own[name] for name in ("tokenizer", "text_encoder", "vae", "scheduler")}
    made = diffusers.SkyReelsV2Pipeline(**(known | {"transformer": transformer} | parts))
    return Whole(made, (9, 32, 32), {"max_sequence_length": 16})


def modelscope(**parts: Any) -> Whole:
    torch.manual_seed(0)
    network = diffusers.UNet3DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=32, norm_num_groups=2, attention_head_dim=8,
    )  # fmt: skip
    network.conv_out.weight.data *= CALM
    own = {
        "vae": image_vae(), "text_encoder": clip_text(), "tokenizer": tokenizer(77), "unet": network,
        "scheduler": ddim(),
    }  # fmt: skip
    return Whole(diffusers.TextToVideoSDPipeline(**(own | parts)), (4, 32, 32))


FIVE = {  # on which every feature is tried: images and video, transformers and U-Nets, driven and of a family
    "Flux": flux,
    "StableDiffusionXL": sdxl,
    "Wan": wan,
    "ModelScope": modelscope,
    "SkyReelsV2": skyreels,
}
WHOLE = {
    "StableDiffusion": stable_diffusion,
    "StableDiffusionXL": sdxl,
    "StableDiffusion3": sd3,
    "Flux": flux,
}
