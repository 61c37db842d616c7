"""Generators: a codec, a velocity, a sampler and what guides them."""

from latentlab.face import face

_HOMES = {
    "ANALYSE": "sampler",
    "Condition": "condition",
    "DRAW": "sampler",
    "Descent": "guides",
    "EDIT": "sampler",
    "Generator": "generator",
    "GeneratorConfig": "config",
    "Guide": "guides",
    "Inverted": "inverted",
    "METHODS": "methods",
    "Sampler": "sampler",
}
__getattr__, __dir__ = face(__name__, _HOMES)
