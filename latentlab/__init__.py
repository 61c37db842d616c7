"""latentlab: look into, move through, edit in and measure the latent spaces of video generators.

>>> import latentlab as ll
>>> generator = ll.load()
>>> video = generator.generate("a red star moving left", num_steps=2)
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:
    from latentlab import (
        control,
        data,
        dimensions,
        directions,
        generator,
        metrics,
        preference,
        scoreboard,
        spaces,
        study,
        train,
        video,
        view,
    )
    from latentlab.control.inpaint import inpaint
    from latentlab.control.long import extend
    from latentlab.control.propagate import propagate
    from latentlab.control.why import why
    from latentlab.directions.edit import edit
    from latentlab.factors import FactorTable
    from latentlab.generator.adapter import Adapter
    from latentlab.generator.condition import Condition
    from latentlab.generator.config import GeneratorConfig
    from latentlab.generator.generator import Generator
    from latentlab.generator.guides import Guide
    from latentlab.generator.inverted import Inverted
    from latentlab.generator.load import load
    from latentlab.generator.sampler import ANALYSE, DRAW, EDIT, Sampler
    from latentlab.interpolate import advise, combine, lerp, nlerp, slerp, spline, uniform, walk
    from latentlab.metrics.temporal import flicker
    from latentlab.record import Record
    from latentlab.spaces import BottleneckSpace, LatentSpace, NoiseSpace, Space, TextSpace, VectorSpace, WeightSpace
    from latentlab.study.edits import edit_clip
    from latentlab.study.recipe import Recipe
    from latentlab.study.roundtrip import roundtrip
    from latentlab.view.explore import explore
    from latentlab.view.projection import project, project_series

# Name -> module it lives in. Loaded on first use, so that `import latentlab` costs milliseconds.
_HOMES = {
    "Adapter": "latentlab.generator.adapter",
    "ANALYSE": "latentlab.generator.sampler",
    "BottleneckSpace": "latentlab.spaces",
    "Condition": "latentlab.generator.condition",
    "DRAW": "latentlab.generator.sampler",
    "EDIT": "latentlab.generator.sampler",
    "FactorTable": "latentlab.factors",
    "Generator": "latentlab.generator.generator",
    "GeneratorConfig": "latentlab.generator.config",
    "Guide": "latentlab.generator.guides",
    "Inverted": "latentlab.generator.inverted",
    "LatentSpace": "latentlab.spaces",
    "NoiseSpace": "latentlab.spaces",
    "Recipe": "latentlab.study.recipe",
    "Record": "latentlab.record",
    "Sampler": "latentlab.generator.sampler",
    "Space": "latentlab.spaces",
    "TextSpace": "latentlab.spaces",
    "VectorSpace": "latentlab.spaces",
    "WeightSpace": "latentlab.spaces",
    "advise": "latentlab.interpolate",
    "combine": "latentlab.interpolate",
    "edit": "latentlab.directions.edit",
    "edit_clip": "latentlab.study.edits",
    "explore": "latentlab.view.explore",
    "extend": "latentlab.control.long",
    "flicker": "latentlab.metrics.temporal",
    "inpaint": "latentlab.control.inpaint",
    "lerp": "latentlab.interpolate",
    "load": "latentlab.generator.load",
    "nlerp": "latentlab.interpolate",
    "project": "latentlab.view.projection",
    "project_series": "latentlab.view.projection",
    "propagate": "latentlab.control.propagate",
    "roundtrip": "latentlab.study.roundtrip",
    "slerp": "latentlab.interpolate",
    "spline": "latentlab.interpolate",
    "uniform": "latentlab.interpolate",
    "walk": "latentlab.interpolate",
    "why": "latentlab.control.why",
}
_PACKAGES = (
    "control", "data", "dimensions", "directions", "generator", "metrics", "preference", "scoreboard", "spaces",
    "study", "train", "video", "view",
)  # fmt: skip

__all__ = [
    "ANALYSE",
    "DRAW",
    "EDIT",
    "Adapter",
    "BottleneckSpace",
    "Condition",
    "FactorTable",
    "Generator",
    "GeneratorConfig",
    "Guide",
    "Inverted",
    "LatentSpace",
    "NoiseSpace",
    "Recipe",
    "Record",
    "Sampler",
    "Space",
    "TextSpace",
    "VectorSpace",
    "WeightSpace",
    "advise",
    "combine",
    "control",
    "data",
    "dimensions",
    "directions",
    "edit",
    "edit_clip",
    "explore",
    "extend",
    "flicker",
    "generator",
    "inpaint",
    "lerp",
    "load",
    "metrics",
    "nlerp",
    "preference",
    "project",
    "project_series",
    "propagate",
    "roundtrip",
    "scoreboard",
    "slerp",
    "spaces",
    "spline",
    "study",
    "train",
    "uniform",
    "video",
    "view",
    "walk",
    "why",
]


def __getattr__(name: str):
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    if name in _PACKAGES:
        return import_module(f"latentlab.{name}")
    raise AttributeError(f"module 'latentlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
