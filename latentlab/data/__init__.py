"""Clips to train on and to measure with."""

from latentlab.data.folder import FolderClips
from latentlab.data.moving.dataset import MovingShapes, moving_shapes

__all__ = ["FolderClips", "MovingShapes", "moving_shapes"]
