"""Questions asked of a generator and its spaces."""

from latentlab.face import face

_HOMES = {
    "Recipe": "recipe",
    "Step": "steps",
    "edit_clip": "edits",
    "find_directions": "sources",
}
__getattr__, __dir__ = face(__name__, _HOMES)
