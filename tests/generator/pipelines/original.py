"""Weights by the names that the authors of Stable Diffusion and Wan gave them, written out of diffusers' networks."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "norm2": "out_layers.0", "conv2": "out_layers.3",
    "time_emb_proj": "emb_layers.1", "conv_shortcut": "skip_connection",
}  # fmt: skip
UNET = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip
VAE_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
WAN = (  # in this order: the norms change places
    ("condition_embedder.time_embedder.linear_1", "time_embedding.0"),
    ("condition_embedder.time_embedder.linear_2", "time_embedding.2"),
    ("condition_embedder.text_embedder.linear_1", "text_embedding.0"),
    ("condition_embedder.text_embedder.linear_2", "text_embedding.2"),
    ("condition_embedder.time_proj", "time_projection.1"),
    ("attn1", "self_attn"), ("attn2", "cross_attn"), ("to_out.0", "o"), ("to_q", "q"), ("to_k", "k"), ("to_v", "v"),
    ("proj_out", "head.head"), ("ffn.net.0.proj", "ffn.0"), ("ffn.net.2", "ffn.2"),
    ("norm2", "other"), ("norm3", "norm2"), ("other", "norm3"),
)  # fmt: skip


def stable_diffusion(pipe) -> dict[str, Tensor]:
    """A whole checkpoint: denoiser, autoencoder and text encoder."""
    found = {f"model.diffusion_model.{k}": t for k, t in unet(pipe.unet).items()}
    found |= {f"first_stage_model.{k}": t for k, t in autoencoder(pipe.vae).items()}
    text = {k.removeprefix("text_model."): t for k, t in pipe.text_encoder.state_dict().items()}
    found |= {f"cond_stage_model.transformer.text_model.{k}": t for k, t in text.items()}
    return {name: tensor.clone().contiguous() for name, tensor in found.items()}


def unet(network) -> dict[str, Tensor]:
    """Blocks are counted through; a block has resnets, attention and a change of size."""
    count, layers = len(network.config.block_out_channels), network.config.layers_per_block
    names = dict(UNET)
    for i in range(count):
        for j in range(layers):
            names[f"down_blocks.{i}.resnets.{j}"] = f"input_blocks.{(layers + 1) * i + j + 1}.0"
            names[f"down_blocks.{i}.attentions.{j}"] = f"input_blocks.{(layers + 1) * i + j + 1}.1"
        names[f"down_blocks.{i}.downsamplers.0.conv"] = f"input_blocks.{(layers + 1) * (i + 1)}.0.op"
        attends = "CrossAttn" in network.config.up_block_types[i]
        for j in range(layers + 1):
            names[f"up_blocks.{i}.resnets.{j}"] = f"output_blocks.{(layers + 1) * i + j}.0"
            names[f"up_blocks.{i}.attentions.{j}"] = f"output_blocks.{(layers + 1) * i + j}.1"
        names[f"up_blocks.{i}.upsamplers.0"] = f"output_blocks.{(layers + 1) * i + layers}.{1 + attends}"
    names |= {"mid_block.attentions.0": "middle_block.1"}
    names |= {f"mid_block.resnets.{j}": f"middle_block.{2 * j}" for j in range(2)}
    return {_renamed(k, names, RESNET if ".resnets." in k else {}): t for k, t in network.state_dict().items()}


def autoencoder(network) -> dict[str, Tensor]:
    """Attention is by convolutions of a pixel there; up is counted from the finest on."""
    last = len(network.config.block_out_channels) - 1
    names = {"mid_block.attentions.0": "mid.attn_1", "conv_norm_out": "norm_out"}
    names |= {f"mid_block.resnets.{j}": f"mid.block_{j + 1}" for j in range(2)}
    for i in range(last + 1):
        names[f"down_blocks.{i}.downsamplers.0"] = f"down.{i}.downsample"
        names[f"up_blocks.{i}.upsamplers.0"] = f"up.{last - i}.upsample"
        for j in range(network.config.layers_per_block + 1):
            names[f"down_blocks.{i}.resnets.{j}"] = f"down.{i}.block.{j}"
            names[f"up_blocks.{i}.resnets.{j}"] = f"up.{last - i}.block.{j}"
    found = {}
    for key, tensor in network.state_dict().items():
        part, _, rest = key.partition(".")
        attends = "attentions" in key
        inner = VAE_ATTENTION if attends else {"conv_shortcut": "nin_shortcut"}
        rest = _renamed(rest, names, inner) if part in ("encoder", "decoder") else rest
        found[f"{part}.{rest}"] = tensor[..., None, None] if attends and tensor.ndim == 2 else tensor
    return found


def wan(network) -> dict[str, Tensor]:
    """A denoiser alone."""
    found = {}
    for key, tensor in network.state_dict().items():
        name = "head.modulation" if key == "scale_shift_table" else key.replace("scale_shift_table", "modulation")
        for ours, theirs in WAN:
            name = ".".join(_whole_words(name, ours, theirs))
        found[name] = tensor.clone().contiguous()
    return found


def _whole_words(name: str, ours: str, theirs: str) -> list[str]:
    return f".{name}.".replace(f".{ours}.", f".{theirs}.").strip(".").split(".")


def _renamed(key: str, outer: Mapping[str, str], inner: Mapping[str, str]) -> str:
    """The name of a place by the longest beginning that is known, and within it."""
    begin = max((name for name in outer if key.startswith(f"{name}.")), key=len, default=None)
    if begin is None:
        return key
    rest = key[len(begin) + 1 :]
    part = max((name for name in inner if rest.startswith(f"{name}.")), key=len, default=None)
    return f"{outer[begin]}.{rest if part is None else inner[part] + rest[len(part) :]}"
