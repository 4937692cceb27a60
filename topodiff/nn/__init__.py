"""Layers and models on cell complexes: ``model(K) -> (num_complexes, out_channels)``."""

from topodiff.nn.activation import NormActivation
from topodiff.nn.cin import CIN, CINLayer
from topodiff.nn.embedding import CategoricalEmbedding, CellEmbedding
from topodiff.nn.fingerprint import CircularFingerprint, FingerprintMLP
from topodiff.nn.gin import GIN, GINE, GINLayer
from topodiff.nn.linear import MLP, LinearNorm
from topodiff.nn.model import CochainModel
from topodiff.nn.oriented import OrientedSIN, OrientedSINLayer
from topodiff.nn.readout import Readout
from topodiff.nn.sin import SIN

__all__ = [
    "CIN",
    "GIN",
    "GINE",
    "MLP",
    "SIN",
    "CINLayer",
    "CategoricalEmbedding",
    "CellEmbedding",
    "CircularFingerprint",
    "CochainModel",
    "FingerprintMLP",
    "GINLayer",
    "LinearNorm",
    "NormActivation",
    "OrientedSIN",
    "OrientedSINLayer",
    "Readout",
]
