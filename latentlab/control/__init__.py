"""Control: tell a generator where and what, by masks, keyframes, references, adapters and words."""

from latentlab.control.adapters import extract, merge

__all__ = ["extract", "merge"]
