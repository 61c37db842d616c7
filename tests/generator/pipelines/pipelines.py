"""Tiny pipelines of random weights, one for each family, with the smallest clip each can hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from unittest.mock import patch

import diffusers
import numpy as np
import torch
from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution
from PIL import Image

from latentlab.generator.condition import Condition


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


CALM = 0.3  # random U-Nets are far rougher than trained ones: guided, they turn the last digit into the fourth


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


LARGE = {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}


def wan_vae(**more) -> diffusers.AutoencoderKLWan:
    torch.manual_seed(0)
    shape = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
    return diffusers.AutoencoderKLWan(**shape, temperal_downsample=[False, True, True], **more)


def wan(*, image: bool = False, look: bool = False, **settings) -> Tiny:
    """Of captions, or of an image; image to video of 2.1 also looks at it through CLIP."""
    large = settings.get("expand_timesteps", False)  # 2.2's 5B has an autoencoder of its own, sixteen pixels a latent
    vae = wan_vae(**LARGE) if large else wan_vae()
    network = {
        "patch_size": (1, 2, 2), "num_attention_heads": 2, "attention_head_dim": 12, "in_channels": 16,
        "out_channels": 16, "text_dim": 32, "freq_dim": 256, "ffn_dim": 32, "num_layers": 2, "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads", "rope_max_seq_len": 32,
    }  # fmt: skip
    parts = {}
    if image and not large:
        network |= {"in_channels": 36}
    if look:
        from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModel

        network |= {"image_dim": 8, "added_kv_proj_dim": 24}
        eye = CLIPVisionConfig(
            hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, image_size=32,
            patch_size=16,
        )  # fmt: skip
        parts |= {
            "image_encoder": CLIPVisionModel(eye),
            "image_processor": CLIPImageProcessor(crop_size=32, size=32),
        }
    transformer = diffusers.WanTransformer3DModel(**network)
    other = diffusers.WanTransformer3DModel(**network) if settings.get("boundary_ratio") else None
    pipe = (diffusers.WanImageToVideoPipeline if image else diffusers.WanPipeline)(
        tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, transformer_2=other,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0), **parts, **settings,
    )  # fmt: skip
    told = {"prompt_embeds": random(1, 16, 32), "negative_prompt_embeds": random(1, 16, 32, seed=1)}
    return Tiny(pipe, (9, 64, 64) if large else (9, 32, 32), told)


def ltx(kind: type = diffusers.LTXPipeline) -> Tiny:
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=8, block_out_channels=(8, 8, 8, 8), decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1), decoder_layers_per_block=(1, 1, 1, 1, 1),
        spatio_temporal_scaling=(True, True, False, False), decoder_spatio_temporal_scaling=(True, True, False, False),
        decoder_inject_noise=(False, False, False, False, False), upsample_residual=(False, False, False, False),
        upsample_factor=(1, 1, 1, 1), timestep_conditioning=False, patch_size=1, patch_size_t=1, encoder_causal=True,
        decoder_causal=False,
    )  # fmt: skip
    vae.latents_mean.copy_(0.1 * random(8))
    vae.latents_std.copy_(1 + random(8).abs())
    transformer = diffusers.LTXVideoTransformer3DModel(
        in_channels=8, out_channels=8, num_attention_heads=4, attention_head_dim=8, cross_attention_dim=32,
        num_layers=1, caption_channels=32,
    )  # fmt: skip
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, max_image_seq_len=4096,
        shift_terminal=0.1,
    )  # fmt: skip
    pipe = kind(tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, scheduler=scheduler)
    mask = torch.tensor([[1] * 10 + [0] * 6])
    told = {
        "prompt_embeds": random(1, 16, 32), "prompt_attention_mask": mask,
        "negative_prompt_embeds": random(1, 16, 32, seed=1), "negative_prompt_attention_mask": mask.flip(1),
    }  # fmt: skip
    return Tiny(pipe, (9, 32, 32), told)


def hunyuan() -> Tiny:
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=(8, 8, 8, 8), layers_per_block=1, norm_num_groups=4,
        down_block_types=("HunyuanVideoDownBlock3D",) * 4, up_block_types=("HunyuanVideoUpBlock3D",) * 4,
    )  # fmt: skip
    transformer = diffusers.HunyuanVideoTransformer3DModel(
        in_channels=4, out_channels=4, num_attention_heads=2, attention_head_dim=10, num_layers=1,
        num_single_layers=1, num_refiner_layers=1, patch_size=2, patch_size_t=1, guidance_embeds=True,
        text_embed_dim=16, pooled_projection_dim=8, rope_axes_dim=(2, 4, 4),
    )  # fmt: skip
    pipe = diffusers.HunyuanVideoPipeline(
        text_encoder=None, tokenizer=None, transformer=transformer, vae=vae, text_encoder_2=None, tokenizer_2=None,
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(shift=7.0),
    )  # fmt: skip
    told = {
        "prompt_embeds": random(1, 12, 16), "pooled_prompt_embeds": random(1, 8, seed=2),
        "prompt_attention_mask": torch.tensor([[1] * 9 + [0] * 3]),
    }  # fmt: skip
    return Tiny(pipe, (9, 32, 32), told)


def mochi() -> Tiny:
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLMochi(
        latent_channels=12, out_channels=3, encoder_block_out_channels=(32, 32, 32, 32),
        decoder_block_out_channels=(32, 32, 32, 32), layers_per_block=(1, 1, 1, 1, 1),
    )  # fmt: skip
    transformer = diffusers.MochiTransformer3DModel(
        patch_size=2, num_attention_heads=2, attention_head_dim=8, num_layers=2, pooled_projection_dim=16,
        in_channels=12, out_channels=None, qk_norm="rms_norm", text_embed_dim=32, time_embed_dim=4,
        activation_fn="swiglu", max_sequence_length=16,
    )  # fmt: skip
    pipe = diffusers.MochiPipeline(
        scheduler=diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True), vae=vae, text_encoder=None,
        tokenizer=None, transformer=transformer,
    )  # fmt: skip
    mask = torch.tensor([[1] * 10 + [0] * 6]).bool()
    told = {
        "prompt_embeds": random(1, 16, 32), "prompt_attention_mask": mask,
        "negative_prompt_embeds": random(1, 16, 32, seed=1), "negative_prompt_attention_mask": mask.flip(1),
    }  # fmt: skip
    return Tiny(pipe, (7, 32, 32), told)


def cogvideox(*, rotary: bool = False, snr_shift_scale: float = 3.0, image: bool = False) -> Tiny:
    """2B has positions in a table and shifts its levels; 5B turns by rotary ones and does not."""
    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4, up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(8, 8, 8, 8), latent_channels=4, layers_per_block=1, norm_num_groups=2,
        temporal_compression_ratio=4, sample_height=32, sample_width=32, scaling_factor=0.7,
    )  # fmt: skip
    transformer = diffusers.CogVideoXTransformer3DModel(
        num_attention_heads=2, attention_head_dim=16, in_channels=8 if image else 4, out_channels=4, time_embed_dim=8,
        text_embed_dim=32, num_layers=1, sample_width=4, sample_height=4, sample_frames=9, patch_size=2,
        temporal_compression_ratio=4, max_text_seq_length=16, use_rotary_positional_embeddings=rotary,
    )  # fmt: skip
    scheduler = diffusers.CogVideoXDDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        prediction_type="v_prediction", timestep_spacing="trailing", rescale_betas_zero_snr=True,
        snr_shift_scale=snr_shift_scale,
    )  # fmt: skip
    pipe = (diffusers.CogVideoXImageToVideoPipeline if image else diffusers.CogVideoXPipeline)(
        tokenizer=None, text_encoder=None, vae=vae, transformer=transformer, scheduler=scheduler
    )
    told = {"prompt_embeds": random(1, 16, 32), "negative_prompt_embeds": random(1, 16, 32, seed=1)}
    return Tiny(pipe, (9, 32, 32), told)


def image_vae() -> diffusers.AutoencoderKL:
    torch.manual_seed(0)
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=4, norm_num_groups=2,
    )  # fmt: skip


def animatediff(spacing: str = "linspace") -> Tiny:
    vae = image_vae()
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, norm_num_groups=2, attention_head_dim=8,
    )  # fmt: skip
    motion = diffusers.MotionAdapter(
        block_out_channels=(8, 16), motion_layers_per_block=1, motion_norm_num_groups=2, motion_num_attention_heads=2,
        motion_max_seq_length=8,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="linear", clip_sample=False, timestep_spacing=spacing,
        steps_offset=1,
    )  # fmt: skip
    pipe = diffusers.AnimateDiffPipeline(
        vae=vae, text_encoder=None, tokenizer=None, unet=unet, motion_adapter=motion, scheduler=scheduler
    )
    pipe.unet.conv_out.weight.data *= CALM
    told = {"prompt_embeds": random(1, 8, 16), "negative_prompt_embeds": random(1, 8, 16, seed=1)}
    return Tiny(pipe, (4, 32, 32), told)


def modelscope() -> Tiny:
    vae = image_vae()
    unet = diffusers.UNet3DConditionModel(
        block_out_channels=(8, 16), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"), up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=16, norm_num_groups=2, attention_head_dim=8,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, set_alpha_to_one=False,
        steps_offset=1,
    )  # fmt: skip
    pipe = diffusers.TextToVideoSDPipeline(vae=vae, text_encoder=None, tokenizer=None, unet=unet, scheduler=scheduler)
    told = {"prompt_embeds": random(1, 8, 16), "negative_prompt_embeds": random(1, 8, 16, seed=1)}
    return Tiny(pipe, (4, 32, 32), told)


def svd() -> Tiny:
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    vae = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 32, 32, 32), down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4,
    )  # fmt: skip
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 32), layers_per_block=1, sample_size=8, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=16,
        num_attention_heads=2, projection_class_embeddings_input_dim=24, addition_time_embed_dim=8, num_frames=3,
    )  # fmt: skip
    look = CLIPVisionConfig(
        hidden_size=16, projection_dim=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        image_size=224, patch_size=56,
    )  # fmt: skip
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", interpolation_type="linear",
        num_train_timesteps=1000, prediction_type="v_prediction", sigma_max=700.0, sigma_min=0.002, steps_offset=1,
        timestep_spacing="leading", timestep_type="continuous", use_karras_sigmas=True,
    )  # fmt: skip
    pipe = diffusers.StableVideoDiffusionPipeline(
        vae=vae, image_encoder=CLIPVisionModelWithProjection(look), unet=unet, scheduler=scheduler,
        feature_extractor=CLIPImageProcessor(crop_size=224, size=224),
    )  # fmt: skip
    pipe.unet.conv_out.weight.data *= CALM
    return Tiny(pipe, (3, 32, 32), {})


def call(
    tiny: Tiny, noise: torch.Tensor, guidance: float, num_steps: int, output_type: str = "latent", **more
) -> torch.Tensor:
    """The latents of the pipeline's own call, with the axes of ours; or, with output "pt", its frames as they come."""
    frames, height, width = tiny.video
    options = {"num_frames": frames, "height": height, "width": width, "num_inference_steps": num_steps}
    pipe, options = tiny.pipe, {**options, "output_type": output_type, **more}
    pipe.set_progress_bar_config(disable=True)
    name = type(pipe).__name__
    if name == "StableVideoDiffusionPipeline":
        latents = pipe(
            Image.fromarray(pixels(height)),
            **options,
            latents=noise.transpose(1, 2),
            max_guidance_scale=guidance,
            noise_aug_strength=0.0,
        )
        return latents.frames.transpose(1, 2) if output_type == "latent" else latents.frames
    options = {**options, **tiny.told, "guidance_scale": guidance}
    if "ImageToVideo" in name:
        options["image"] = Image.fromarray(pixels(height))
    if name == "LTXImageToVideoPipeline":
        image = pipe.vae.encode(picture(height)[:, :, None]).latent_dist.mode()
        image = pipe._normalize_latents(image, pipe.vae.latents_mean, pipe.vae.latents_std)
        noise = torch.cat([image, noise[:, :, 1:]], dim=2)
    if name.startswith("LTX"):
        grid = noise.shape[2:]
        packed = pipe(**options, latents=pipe._pack_latents(noise)).frames
        return pipe._unpack_latents(packed, *grid) if output_type == "latent" else packed
    if name.startswith("CogVideoX"):
        with patch.object(DiagonalGaussianDistribution, "sample", lambda self, generator: self.mode()):  # of the image
            latents = pipe(**options, latents=noise.transpose(1, 2)).frames
        return latents.transpose(1, 2) if output_type == "latent" else latents
    return pipe(**options, latents=noise).frames


def condition(tiny: Tiny, generator) -> Condition:
    """What the call is told, as ours."""
    told = tiny.told
    if not told:
        return generator.condition(picture(), noise=0.0)
    own = _tokens(told["prompt_embeds"], told.get("prompt_attention_mask"))
    if "pooled_prompt_embeds" in told:
        return replace(own, more={"pooled": told["pooled_prompt_embeds"]})
    against = _tokens(told["negative_prompt_embeds"], told.get("negative_prompt_attention_mask"))
    told = replace(own, against=against)
    return generator.with_image(told, picture(tiny.video[1])) if "ImageToVideo" in type(tiny.pipe).__name__ else told


def _tokens(tokens: torch.Tensor, mask: torch.Tensor | None) -> Condition:
    return Condition(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool) if mask is None else mask.bool())


def pixels(side: int) -> np.ndarray:
    return (random(side, side, 3, seed=5).clamp(-1, 1) * 127.5 + 127.5).byte().numpy()


def picture(side: int = 32) -> torch.Tensor:
    return torch.from_numpy(pixels(side)).permute(2, 0, 1)[None].float() / 127.5 - 1


FAMILIES = {
    "wan": wan,
    "wan-2.2-5b": partial(wan, expand_timesteps=True),
    "wan-2.2-5b-image": partial(wan, expand_timesteps=True, image=True),
    "wan-2.2-a14b": partial(wan, boundary_ratio=0.875),
    "wan-2.2-a14b-image": partial(wan, boundary_ratio=0.875, image=True),
    "wan-2.1-image": partial(wan, image=True, look=True),
    "ltx": ltx,
    "ltx-image": partial(ltx, diffusers.LTXImageToVideoPipeline),
    "hunyuan": hunyuan,
    "mochi": mochi,
    "cogvideox-2b": cogvideox,
    "cogvideox-5b": partial(cogvideox, rotary=True, snr_shift_scale=1.0),
    "cogvideox-5b-image": partial(cogvideox, rotary=True, snr_shift_scale=1.0, image=True),
    "modelscope": modelscope,
    "animatediff": animatediff,
    "svd": svd,
}
