"""Semantic directions: find them, apply them."""

from latentlab.directions.differences import ChannelRanking, MeanDifference, PairedDifference
from latentlab.directions.direction import Direction, DirectionSet
from latentlab.directions.edit import edit
from latentlab.directions.normals import LDA, LogisticNormal, RidgeNormal, SVMNormal
from latentlab.directions.supervised import Dual, Effect

__all__ = [
    "LDA",
    "ChannelRanking",
    "Direction",
    "DirectionSet",
    "Dual",
    "Effect",
    "LogisticNormal",
    "MeanDifference",
    "PairedDifference",
    "RidgeNormal",
    "SVMNormal",
    "edit",
]
