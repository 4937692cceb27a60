"""Layers and models on cell complexes: ``model(K) -> (num_complexes, out_channels)``, and models of
vertices: ``model(K) -> (n_0, out_channels)``."""

from topodiff.nn.activation import NormActivation
from topodiff.nn.blend import BLEND
from topodiff.nn.cin import CIN, CINLayer
from topodiff.nn.continuous import ContinuousModel
from topodiff.nn.diffusion_attention import DiffusionAttention
from topodiff.nn.embedding import CategoricalEmbedding, CellEmbedding
from topodiff.nn.fingerprint import CircularFingerprint, FingerprintMLP
from topodiff.nn.gat import GAT, GATLayer
from topodiff.nn.gcn import GCN, GCNLayer
from topodiff.nn.gcnii import GCNII, GCNIILayer
from topodiff.nn.gin import GIN, GINE, GINLayer
from topodiff.nn.graff import GRAFF
from topodiff.nn.grand import GRAND
from topodiff.nn.graphcon import GraphCON
from topodiff.nn.h2gcn import H2GCN
from topodiff.nn.hodge import HodgeDiffusion
from topodiff.nn.linear import MLP, LinearNorm
from topodiff.nn.model import CochainModel
from topodiff.nn.node_mlp import NodeMLP
from topodiff.nn.oriented import OrientedSIN, OrientedSINLayer
from topodiff.nn.readout import Readout
from topodiff.nn.sage import GraphSAGE, SAGELayer
from topodiff.nn.sheaf import (
    CochainSheafDiffusion,
    ContinuousSheafDiffusion,
    FlowSheafDiffusion,
    FrameLearner,
    NeuralSheafDiffusion,
    SheafCochainLayer,
    SheafDiffusionLayer,
    SheafLearner,
    SheafModel,
)
from topodiff.nn.sin import SIN

__all__ = [
    "BLEND",
    "CIN",
    "GAT",
    "GCN",
    "GCNII",
    "GIN",
    "GINE",
    "GRAFF",
    "GRAND",
    "H2GCN",
    "MLP",
    "SIN",
    "CINLayer",
    "CategoricalEmbedding",
    "CellEmbedding",
    "CircularFingerprint",
    "CochainModel",
    "CochainSheafDiffusion",
    "ContinuousModel",
    "ContinuousSheafDiffusion",
    "DiffusionAttention",
    "FingerprintMLP",
    "FlowSheafDiffusion",
    "FrameLearner",
    "GATLayer",
    "GCNIILayer",
    "GCNLayer",
    "GINLayer",
    "GraphCON",
    "GraphSAGE",
    "HodgeDiffusion",
    "LinearNorm",
    "NeuralSheafDiffusion",
    "NodeMLP",
    "NormActivation",
    "OrientedSIN",
    "OrientedSINLayer",
    "Readout",
    "SAGELayer",
    "SheafCochainLayer",
    "SheafDiffusionLayer",
    "SheafLearner",
    "SheafModel",
]
