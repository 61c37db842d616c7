"""Clips to train on and to measure with."""

from latentlab.data.drifting import Drifting
from latentlab.data.dsprites import DSprites
from latentlab.data.folder import FolderClips
from latentlab.data.labelled import Labelled, labelled
from latentlab.data.moving.controls import DrawnControls, controls
from latentlab.data.moving.dataset import MovingShapes, moving_shapes
from latentlab.data.moving.frames import moving_frames
from latentlab.data.moving.measure import measure
from latentlab.data.phantom import Slices, phantoms
from latentlab.data.pictures import Images, images

__all__ = [
    "DSprites", "DrawnControls", "Drifting", "FolderClips", "Images", "Labelled", "MovingShapes", "Slices",
    "controls", "images", "labelled", "measure", "moving_frames", "moving_shapes", "phantoms",
]  # fmt: skip
