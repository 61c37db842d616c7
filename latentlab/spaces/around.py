"""Clips in a space, as edits start from them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from latentlab.checks import clear_errors
from latentlab.shapes import Codes, Video


class Around:
    """Clips in a space, ready to be moved: what `around` of every space gives.

    Args:
        codes: of the clips, `(sample, dim)`.
        decode: codes to clips, one for each of them, in their order.
        shape: channel, frame, height and width of a code; None where codes have no such axes, as in h-space.

    >>> import torch
    >>> here = Around(torch.zeros(2, 12), lambda codes: codes.reshape(-1, 3, 1, 2, 2))
    >>> here.decode(here.codes + 1).shape
    torch.Size([2, 3, 1, 2, 2])
    """

    @clear_errors
    def __init__(self, codes: Codes, decode: Callable[[Codes], Video], shape: tuple[int, ...] | None = None) -> None:
        self.codes, self.shape, self._decode = codes, shape, decode

    @clear_errors
    def decode(self, codes: Codes) -> Video:
        """The clips, moved to these codes; unmoved, they come back as exactly as the space can give them back.

        Raises:
            ValueError: not one code for each clip.
        """
        if codes.shape != self.codes.shape:
            raise ValueError(f"codes of these clips have shape {tuple(self.codes.shape)}, got {tuple(codes.shape)}")
        return self._decode(codes)

    @cached_property
    def unedited(self) -> Video:
        """The clips after the way there and back without an edit: what an edited clip is to be compared with."""
        return self.decode(self.codes)
