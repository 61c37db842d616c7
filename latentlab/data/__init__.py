"""Clips to train on and to measure with."""

from latentlab.data.dsprites import DSprites
from latentlab.data.folder import FolderClips
from latentlab.data.moving.dataset import MovingShapes, moving_shapes
from latentlab.data.moving.frames import moving_frames
from latentlab.data.moving.measure import measure

__all__ = ["DSprites", "FolderClips", "MovingShapes", "measure", "moving_frames", "moving_shapes"]
