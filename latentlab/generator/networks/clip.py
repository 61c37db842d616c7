"""Both towers of CLIP, in the layout of open_clip, whose weights they read.

open_clip itself brings torchvision, timm and a compiler along: five seconds of every command that needs no more than
these two transformers. tests/generator/test_clip_model.py holds them against it, bit for bit.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from latentlab.networks import ClipConfig

HEAD = 32  # channels


class ClipPerceptron(nn.Module):
    """Two layers, the inner one four times as wide."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.c_fc, self.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "batch token width"]) -> Float[Tensor, "batch token width"]:
        return self.c_proj(F.gelu(self.c_fc(x)))


class ClipBlock(nn.Module):
    """A residual block of attention and a perceptron (Radford et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = nn.MultiheadAttention(width, width // HEAD, batch_first=True)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = ClipPerceptron(width)

    def forward(
        self, x: Float[Tensor, "batch token width"], attn_mask: Float[Tensor, "token token"] | None
    ) -> Float[Tensor, "batch token width"]:
        y, mask = self.ln_1(x), None if attn_mask is None else attn_mask.to(x.dtype)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class ClipTransformer(nn.Module):
    """Blocks after one another."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.resblocks = nn.ModuleList(ClipBlock(width) for _ in range(layers))

    def forward(
        self, x: Float[Tensor, "batch token width"], attn_mask: Float[Tensor, "token token"] | None = None
    ) -> Float[Tensor, "batch token width"]:
        for block in self.resblocks:
            x = block(x, attn_mask)
        return x


class ClipVision(nn.Module):
    """Pictures to the joint space: what the first token knows after all layers."""

    def __init__(self, config: ClipConfig) -> None:
        super().__init__()
        width = config.width
        patches = (2 * config.frame_size // config.patch_size) ** 2
        self.conv1 = nn.Conv2d(3, width, config.patch_size, config.patch_size, bias=False)
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(patches + 1, width))
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = ClipTransformer(width, config.vision_layers)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.empty(width, config.embed_dim))
        for begun in (self.class_embedding, self.positional_embedding, self.proj):
            nn.init.normal_(begun, std=width**-0.5)

    def forward(self, pictures: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch embedding"]:
        x = self.conv1(pictures).flatten(2).transpose(1, 2)
        first = self.class_embedding.to(x.dtype).expand(len(x), 1, -1)
        x = torch.cat([first, x], 1) + self.positional_embedding.to(x.dtype)
        return self.ln_post(self.transformer(self.ln_pre(x)))[:, 0] @ self.proj


class ClipTowers(nn.Module):
    """The vision tower, the text tower, and the temperature between them."""

    attn_mask: Tensor

    def __init__(self, config: ClipConfig, words: int) -> None:
        super().__init__()
        width, length = config.width, config.context_length
        self.visual = ClipVision(config)
        token_embedding = nn.Embedding(words, width)
        self.positional_embedding = nn.Parameter(torch.empty(length, width))
        self.transformer = ClipTransformer(width, config.text_layers)
        self.token_embedding, self.ln_final = token_embedding, nn.LayerNorm(width)
        self.text_projection = nn.Parameter(torch.empty(width, config.embed_dim))
        self.register_buffer("attn_mask", torch.empty(length, length).fill_(-math.inf).triu_(1), persistent=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self._begin()

    def encode_image(self, pictures: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch embedding"]:
        """Unit vectors."""
        return F.normalize(self.visual(pictures), dim=-1)

    def encode_text(self, numbers: Int[Tensor, "batch token"]) -> Float[Tensor, "batch embedding"]:
        """Unit vectors: what the end token, whose number is the largest, knows after all layers."""
        x = self.token_states(numbers)
        return F.normalize(x[torch.arange(len(x), device=x.device), numbers.argmax(1)] @ self.text_projection, dim=-1)

    def token_states(self, numbers: Int[Tensor, "batch token"]) -> Float[Tensor, "batch token width"]:
        """The text tower's last layer."""
        x = self.token_embedding(numbers) + self.positional_embedding
        return self.ln_final(self.transformer(x, self.attn_mask))

    def _begin(self) -> None:
        """As CLIP begins, but for the words: at open_clip's 0.02 the layers drown them, and the denoiser needs to tell
        them apart from the first step on."""
        width, layers = self.positional_embedding.shape[1], len(self.transformer.resblocks)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.positional_embedding, std=0.01)
        for block in (part for part in self.transformer.modules() if isinstance(part, ClipBlock)):
            out = width**-0.5 * (2 * layers) ** -0.5
            nn.init.normal_(block.attn.in_proj_weight, std=width**-0.5)
            nn.init.normal_(block.attn.out_proj.weight, std=out)
            nn.init.normal_(block.mlp.c_fc.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.c_proj.weight, std=out)
        nn.init.normal_(self.text_projection, std=width**-0.5)
        nn.init.normal_(self.token_embedding.weight, std=0.5)
