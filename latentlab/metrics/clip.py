"""The name of `clip_model` in version 0.1: a clip is a video."""

from latentlab.face import moved

__getattr__ = moved(__name__, "latentlab.metrics.clip_model")
