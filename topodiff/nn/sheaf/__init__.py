"""Neural sheaf diffusion: restriction maps learnt from features, and diffusion along them."""

from topodiff.nn.sheaf.base import SheafModel
from topodiff.nn.sheaf.cochain_layer import SheafCochainLayer
from topodiff.nn.sheaf.cochain_model import CochainSheafDiffusion
from topodiff.nn.sheaf.continuous import ContinuousSheafDiffusion
from topodiff.nn.sheaf.families import MAP_FAMILIES
from topodiff.nn.sheaf.flow_model import FlowSheafDiffusion
from topodiff.nn.sheaf.frames import FrameLearner
from topodiff.nn.sheaf.layer import SheafDiffusionLayer
from topodiff.nn.sheaf.learner import SheafLearner
from topodiff.nn.sheaf.model import NeuralSheafDiffusion

__all__ = [
    "MAP_FAMILIES",
    "CochainSheafDiffusion",
    "ContinuousSheafDiffusion",
    "FlowSheafDiffusion",
    "FrameLearner",
    "NeuralSheafDiffusion",
    "SheafCochainLayer",
    "SheafDiffusionLayer",
    "SheafLearner",
    "SheafModel",
]
