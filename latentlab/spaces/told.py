"""What a space tells the denoiser: captions, or a condition that was made before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from latentlab.generator.condition import Condition
from latentlab.store import digest

CaptionOrCondition = str | Sequence[str] | Condition


def plain(caption: CaptionOrCondition) -> Any:
    """A caption for a file; a condition is known by its values."""
    if isinstance(caption, str):
        return caption
    if not isinstance(caption, Condition):
        return list(caption)
    parts = []
    for name, tensor in sorted(caption.tensors().items()):
        parts += [f"{name} {tuple(tensor.shape)} {tensor.dtype}", tensor.detach().cpu().double().contiguous().numpy()]
    return f"condition {digest(*parts)}"
