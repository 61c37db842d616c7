"""The scoreboard of direction finders: does a direction move its factor, and nothing else?"""

from latentlab.face import face

_HOMES = {
    "Cell": "cell",
    "CellResult": "cell",
    "DirectionScore": "direction_score",
    "ModelWorld": "worlds",
    "Oracle": "oracle",
    "OracleWorld": "worlds",
    "SideEffects": "side_effects",
    "Testbed": "sweep",
    "match_targets": "direction_score",
    "measure_side_effects": "side_effects",
    "paired_truth": "ground_truth",
    "score_cell": "cell",
    "score_directions": "direction_score",
    "scoreboard_page": "page",
}
__getattr__, __dir__ = face(__name__, _HOMES)
