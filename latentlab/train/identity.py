"""What makes a run the run it is, so that another one is not taken for it when it goes on."""

from __future__ import annotations

from typing import Any

from latentlab.data.drifting import Drifting
from latentlab.data.folder import FolderClips
from latentlab.data.moving.dataset import MovingShapes
from latentlab.data.moving.scenes import SceneSampler
from latentlab.data.phantom import Slices
from latentlab.data.pictures import Images


def data_identity(data: Any) -> str:
    """Tells a data set from others, in words that an error can quote.

    >>> data_identity(MovingShapes(100, seed=3, fixed={"shape": 0}))
    'MovingShapes, 100 clips, seed 3, fixed shape=0'
    """
    match data:
        case FolderClips() | Images() | Drifting() | Slices():
            return data.identity
        case MovingShapes():
            parts = [f"seed {data.seed}"]
            if isinstance(data.sampler, SceneSampler):
                world = data.sampler
                parts += [f"objects {world.objects}", f"changes {world.changes}", f"camera {world.camera}"]
            for kind in ("fixed", "sweep", "correlated"):
                parts += [f"{kind} {key}={value}" for key, value in sorted(getattr(data.sampler, kind).items())]
            return ", ".join([f"{type(data).__name__}, {len(data)} clips", *parts])
        case _:
            return f"{type(data).__name__}, {len(data)} clips"
