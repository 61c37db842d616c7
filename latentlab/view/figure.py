"""Pictures of a report: those that matplotlib draws take the page's colours."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import ClassVar

from markupsafe import Markup

from latentlab.view.style import INK, PALETTE

LEAST = 0.7  # of its width, to which a picture shrinks on a narrow screen before it scrolls


@dataclass(frozen=True)
class Figure:
    """A picture with its description and caption.

    Args:
        svg_or_png: SVG text or PNG bytes. Text enters the page as an image, where no script runs and nothing is
            fetched; only a `markupsafe.Markup`, which says "I trust this", is written into the page itself.
        alt: what the picture shows, for those who do not see it.
        caption: shown below.

    Raises:
        ValueError: if it is neither SVG nor PNG, or `alt` is empty.

    >>> Figure('<svg xmlns="http://www.w3.org/2000/svg"/>', alt="nothing").source[:26]
    'data:image/svg+xml;base64,'
    """

    svg_or_png: str | bytes
    alt: str
    caption: str = ""
    kind: ClassVar[str] = "figure"

    def __post_init__(self) -> None:
        data = self.svg_or_png
        if not (data.startswith(b"\x89PNG") if isinstance(data, bytes) else "<svg" in data):
            raise ValueError(f"a figure is SVG text or PNG bytes, got {type(data).__name__} {data[:40]!r}")
        if not self.alt.strip():
            raise ValueError("a figure needs `alt`, a text for those who do not see it")

    @property
    def inline(self) -> Markup | None:
        """SVG to write into the page itself, if it is trusted."""
        return self.svg_or_png if isinstance(self.svg_or_png, Markup) else None

    @property
    def source(self) -> str:
        """The picture as an address that holds its own data."""
        data, kind = self.svg_or_png, "png"
        if isinstance(data, str):
            data, kind = data.encode(), "svg+xml"
        return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def adapt(svg: str) -> Markup:
    """Matplotlib's SVG made part of the page: its colours and size by CSS, without ids that would repeat."""
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    width = re.search(r' width="([\d.]+)pt"', svg)
    size = f' style="max-width: {width[1]}pt; min-width: {LEAST * float(width[1]):.0f}pt"' if width else ""
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2).replace("<svg", f"<svg{size}", 1)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    for i, (light, _) in enumerate(PALETTE):
        svg = svg.replace(light, f"var(--series-{i}, {light})")
    return Markup(svg)
