"""Latent spaces behind one interface: `encode` turns clips into codes, `decode` turns codes into clips."""

from latentlab.face import renamed
from latentlab.spaces.around import Around
from latentlab.spaces.attention import attention, token_positions, watched
from latentlab.spaces.bottleneck import BottleneckSpace
from latentlab.spaces.cache import Cached
from latentlab.spaces.hooks import hooked
from latentlab.spaces.latent import LatentSpace
from latentlab.spaces.noise import NoiseSpace
from latentlab.spaces.reduce import Blocks, Components, Places, TimeResidual
from latentlab.spaces.space import Space, Statistics, as_space, statistics
from latentlab.spaces.text import TextSpace, pulled
from latentlab.spaces.vector import VectorSpace
from latentlab.spaces.weights import WeightSpace

__all__ = [
    "Around",
    "Blocks",
    "BottleneckSpace",
    "Cached",
    "Components",
    "LatentSpace",
    "NoiseSpace",
    "Places",
    "Space",
    "Statistics",
    "TextSpace",
    "TimeResidual",
    "VectorSpace",
    "WeightSpace",
    "as_space",
    "attention",
    "hooked",
    "pulled",
    "statistics",
    "token_positions",
    "watched",
]
__getattr__ = renamed(__name__, {"words": "token_positions"})
