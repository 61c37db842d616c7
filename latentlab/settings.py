"""How clips are edited and filled, beside what is asked for: defaults of the library, and options of the command line.

Nothing here loads torch, so that the help of a command is instant.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Annotated

from latentlab.checks import Natural, Within
from latentlab.names import Blend, EditMethod, SpaceKind, When


def _when(text: str) -> When:
    try:
        return text if text == "always" or text == "forming" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"always, forming, or a flow time such as 0.8, got {text!r}") from None


@dataclass(frozen=True)
class EditSettings:
    """How `edit_clip` edits.

    Args:
        strength: of a direction, standard deviations; negative is the other way.
        source: what the clip shows, as a caption, for method flow.
        method: the edit network of pairs, or captions alone; auto takes the network where the model has one.
        space: of a direction: latents, inverted noise, the denoiser's innermost activations.
        when: on the way from noise, with space h-space or method flow: forming, only until the factor is decided; or
            down to a flow time such as 0.8.
    """

    strength: float = 2.0
    source: str = ""
    method: EditMethod = "auto"
    space: SpaceKind = "latent"
    when: When = field(default="always", metadata={"type": _when, "metavar": "always|forming|LEVEL"})


@dataclass(frozen=True)
class InpaintSettings:
    """How `inpaint` fills.

    Args:
        start: flow time to draw from, at most 1; less keeps more.
        grow: pixels the mask is grown by.
        feather: pixels of soft edge.
        refine: decodings for the border.
        blend: match colours at the border, or paste.
    """

    start: Annotated[float, Within(0, 1, above=True)] = 1.0
    grow: Natural = 4
    feather: Natural = 2
    refine: Natural = 30
    blend: Blend = "match"
