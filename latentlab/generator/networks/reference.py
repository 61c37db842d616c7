"""An image prompt: what a denoiser hears of a reference image, beside the caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from latentlab.generator.adapted import Addition
from latentlab.generator.blocks import Attention, Block
from latentlab.generator.denoiser import Denoiser
from latentlab.generator.native import NativeGenerator
from latentlab.generator.networks.beside import Beside
from latentlab.shapes import Video
from latentlab.weights import fingerprint


class ReferenceNetwork(Beside):
    """Decoupled cross-attention beside a frozen denoiser (Ye et al. 2023, IP-Adapter).

    The image tower's embedding becomes a few tokens; in every attention to the caption, with its queries Q and the
    caption's K and V, the image has keys and values of its own (their eq. 5),

        Attention(Q, K, V) + weight Attention(Q, K', V').

    K' begins as the layer's own and V' as zero, so that before the first step of training, and at weight 0, the
    denoiser is as it was to the bit.

    Args:
        denoiser: that it belongs to, a U-Net; frozen.
        embed_dim: of the image tower.
        tokens: that an image becomes.

    >>> network = ReferenceNetwork(Denoiser(), embed_dim=128)
    >>> sum(p.numel() for p in network.parameters()) < 250_000
    True
    """

    def __init__(self, denoiser: Denoiser, embed_dim: int, tokens: int = 4) -> None:
        super().__init__(denoiser)
        width = denoiser.config.context_width
        self.embed_dim, self.tokens = embed_dim, tokens
        self.project = nn.Linear(embed_dim, tokens * width)
        self.norm = nn.LayerNorm(width)
        self.key_value = nn.ModuleList()
        for attention in self.attentions:
            layer = nn.Linear(width, attention.key_value.out_features, bias=False)
            with torch.no_grad():
                key, value = layer.weight.chunk(2)
                key.copy_(attention.key_value.weight.chunk(2)[0])
                value.zero_()
            self.key_value.append(layer)

    @property
    def attentions(self) -> list[Attention]:
        """The denoiser's attentions to the caption, in order."""
        found = [m.caption_attention for m in self.denoiser.modules() if isinstance(m, Block)]
        return [attention for attention in found if attention is not None]

    def updates(
        self, images: Sequence[Float[Tensor, "batch embedding"]], weights: Sequence[float | Tensor]
    ) -> list[tuple[nn.Module, Addition, float]]:
        """What to add to which layer, for `generator.adapted.on`.

        Args:
            images: embeddings of each reference, one for all clips or one for each.
            weights: of each reference; one number, or one for each clip.
        """
        told = [self.norm(self.project(image).unflatten(1, (self.tokens, -1))) for image in images]
        return [
            (attention, Decoupled(layer(tokens), weight), 1.0)
            for tokens, weight in zip(told, weights, strict=True)
            for attention, layer in zip(self.attentions, self.key_value, strict=True)
        ]

    def header(self) -> dict[str, Any]:
        """What a file of its weights says of it."""
        settings = {"embed_dim": self.embed_dim, "tokens": self.tokens}
        return {"kind": "reference", **settings, "base": fingerprint(self.denoiser)}


@dataclass(frozen=True)
class Decoupled:
    """What is added behind an attention to the caption: that to the tokens of an image, by the same queries.

    Under guidance the rows of the empty caption come first, and hear of no image: guidance leads towards it, too.
    """

    key_value: Float[Tensor, "batch token both"]
    weight: float | Tensor

    def of(self, layer: nn.Module, x: Tensor) -> Tensor:
        assert isinstance(layer, Attention)
        silent, heard = x.split([len(x) - len(self.key_value), len(self.key_value)])
        query, key, value = (
            rearrange(z, "b n (k d) -> b k n d", k=layer.heads)
            for z in (layer.query(layer.norm(heard)), *self.key_value.to(x).chunk(2, dim=-1))
        )
        mixed = rearrange(F.scaled_dot_product_attention(query, key, value), "b k n d -> b n (k d)")
        out: Any = layer.out.weight  # the bias was added with the caption's
        added = F.linear(mixed, out)
        weight = self.weight.to(x)[:, None, None] if isinstance(self.weight, Tensor) else self.weight
        return torch.cat([torch.zeros_like(silent), weight * added])


@torch.no_grad()
def looked_at(generator: NativeGenerator, image: Video) -> Tensor:
    """What the model's CLIP sees in images, of unit variance rather than of unit length, `(batch, embedding)`."""
    seen = generator.clip_model.encode_video(image.to(generator.device).float())
    return seen * seen.shape[1] ** 0.5
