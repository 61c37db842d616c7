"""Semantic directions: find them, apply them."""

from latentlab.directions.edit import edit
from latentlab.directions.supervised import Direction, Effect

__all__ = ["Direction", "Effect", "edit"]
