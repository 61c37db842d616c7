"""A brush: paint over a frame, and get a mask."""

from __future__ import annotations

import anywidget
import traitlets

from latentlab.view.pages import script

GRID = 32  # cells each way


class Brush(anywidget.AnyWidget):
    """A frame to paint on: drag to paint, drag with shift or the right button to wipe.

    By keys: arrows move the brush, space paints, delete wipes, + and - change its size.

    Attributes:
        picture: `data:` address of the frame.
        rows: what is painted, rows of "0" and "1"; none where nothing is.
        radius: of the brush, cells across, 0.5 to 8.
    """

    _esm = script("brush.mjs")
    grid = traitlets.Int(GRID).tag(sync=True)
    picture = traitlets.Unicode("").tag(sync=True)
    rows = traitlets.List(traitlets.Unicode()).tag(sync=True)
    radius = traitlets.Float(3.0).tag(sync=True)
