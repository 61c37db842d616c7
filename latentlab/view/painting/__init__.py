"""Painting masks on clips: a local page, and a brush for notebooks, with one canvas behind both."""

from latentlab.face import face

_HOMES = {"MaskBrush": "brush", "Server": "server", "Session": "session", "gradio_app": "app"}
__getattr__, __dir__ = face(__name__, _HOMES)
