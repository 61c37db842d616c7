"""What a person sees and touches: maps with their quality, charts, explorers in a notebook or a page, and reports."""

from latentlab.face import face

_HOMES = {
    "MaskBrush": "painting.brush",
    "Report": "report",
    "project": "projection",
    "project_series": "projection",
}
__getattr__, __dir__ = face(__name__, _HOMES)
