"""Semantic directions: find them, apply them."""

from latentlab.directions.clusters import Clusters
from latentlab.directions.compose import add, orthogonalise, project_out
from latentlab.directions.contrastive import Contrastive
from latentlab.directions.differences import ChannelRanking, MeanDifference, PairedDifference
from latentlab.directions.direction import Direction, LocalDirection, Normal
from latentlab.directions.direction_set import DirectionSet
from latentlab.directions.edit import edit
from latentlab.directions.files import load_directions, save_directions
from latentlab.directions.jacobian import JacobianSVD
from latentlab.directions.manipulate import Manipulator
from latentlab.directions.mask import above, blend, changed, leak
from latentlab.directions.match import Match, match, stability
from latentlab.directions.normals import LDA, LogisticNormal, RidgeNormal, SVMNormal
from latentlab.directions.supervised import Dual, Effect
from latentlab.directions.text import Text, caption_direction
from latentlab.directions.unsupervised import ICA, PCA, Varimax
from latentlab.directions.usable import Limits, Range, usable_range
from latentlab.directions.weights import WeightSVD
from latentlab.face import renamed

__all__ = [
    "ICA",
    "LDA",
    "PCA",
    "ChannelRanking",
    "Clusters",
    "Contrastive",
    "Direction",
    "DirectionSet",
    "Dual",
    "Effect",
    "JacobianSVD",
    "Limits",
    "LocalDirection",
    "LogisticNormal",
    "Manipulator",
    "Match",
    "MeanDifference",
    "Normal",
    "PairedDifference",
    "Range",
    "RidgeNormal",
    "SVMNormal",
    "Text",
    "Varimax",
    "WeightSVD",
    "above",
    "add",
    "blend",
    "caption_direction",
    "changed",
    "edit",
    "leak",
    "load_directions",
    "match",
    "orthogonalise",
    "project_out",
    "save_directions",
    "stability",
    "usable_range",
]

__getattr__ = renamed(__name__, {"Turning": "LocalDirection", "auto_range": "usable_range"})
