"""A student: a denoiser that goes in a few steps where its teacher goes in many, at a guidance that it is told."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from latentlab.generator.blocks import sinusoid, zero
from latentlab.generator.denoiser import Denoiser
from latentlab.networks import StudentConfig
from latentlab.shapes import Latents


class StudentDenoiser(Denoiser):
    """A denoiser whose answer at each of its levels is the mean velocity of its teacher down to the next (Salimans & Ho
    2022), under a guidance that it is told as it is told the flow time (Meng et al. 2023, section 3).

    >>> network = StudentDenoiser()
    >>> y, tokens, mask = torch.zeros(1, 6, 16, 8, 8), torch.zeros(1, 3, 128), torch.ones(1, 3, dtype=torch.bool)
    >>> network(y, torch.ones(1), tokens, mask, torch.tensor([4.0])).shape
    torch.Size([1, 6, 16, 8, 8])
    """

    config: StudentConfig

    def __init__(self, config: StudentConfig | None = None) -> None:
        c = config or StudentConfig()
        super().__init__(c)
        self.guided = zero(nn.Linear(c.widths[0], 2 * c.widths[0]))  # before training guidance is not heard

    def forward(
        self,
        y: Latents,
        s: Float[Tensor, " batch"],
        tokens: Float[Tensor, "batch token width"],
        mask: Bool[Tensor, "batch token"],
        guidance: Float[Tensor, " batch"] | None = None,
    ) -> Latents:
        """Mean velocity from `y` at flow time `s` to the next level; guidance 1 where it is not told."""
        return super().forward(y, s, tokens, mask, torch.ones_like(s) if guidance is None else guidance)

    def embedding(self, s: Tensor, tokens: Tensor, mask: Tensor, patches: int, *told: Tensor) -> Tensor:
        heard = self.guided(sinusoid(100 * told[0], self.config.widths[0]).to(self.dtype))
        return super().embedding(s, tokens, mask, patches) + heard.repeat_interleave(patches, 0)

    def header(self) -> dict[str, Any]:
        return {"kind": "student", **asdict(self.config)}
