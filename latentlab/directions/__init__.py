"""Semantic directions: find them, apply them."""

from latentlab.directions.differences import ChannelRanking, MeanDifference, PairedDifference
from latentlab.directions.direction import Direction, DirectionSet
from latentlab.directions.edit import edit
from latentlab.directions.jacobian import JacobianSVD
from latentlab.directions.normals import LDA, LogisticNormal, RidgeNormal, SVMNormal
from latentlab.directions.supervised import Dual, Effect
from latentlab.directions.unsupervised import ICA, PCA, Clusters, Varimax, WeightSVD

__all__ = [
    "ICA",
    "LDA",
    "PCA",
    "ChannelRanking",
    "Clusters",
    "Direction",
    "DirectionSet",
    "Dual",
    "Effect",
    "JacobianSVD",
    "LogisticNormal",
    "MeanDifference",
    "PairedDifference",
    "RidgeNormal",
    "SVMNormal",
    "Varimax",
    "WeightSVD",
    "edit",
]
