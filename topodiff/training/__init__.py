"""Training: a fit loop that can be killed and resumed, ensembles, metrics and checkpoints."""

from topodiff.training.config import FitConfig
from topodiff.training.ensemble import Ensemble, Prediction, TrainConfig, train_ensemble
from topodiff.training.features import FeatureScaler
from topodiff.training.fit import Fitted, fit
from topodiff.training.inference import predict
from topodiff.training.metrics import evaluate, metric
from topodiff.training.models import ModelConfig, build_model
from topodiff.training.molecules import (
    check_trainable,
    molecule_samples,
    predict_molecules,
    train_molecules,
)
from topodiff.training.nodes import NodeFitConfig, NodeFitted, evaluate_nodes, fit_nodes
from topodiff.training.run import NonFiniteError
from topodiff.training.samples import Samples
from topodiff.training.targets import Targets

__all__ = [
    "Ensemble",
    "FeatureScaler",
    "FitConfig",
    "Fitted",
    "ModelConfig",
    "NodeFitConfig",
    "NodeFitted",
    "NonFiniteError",
    "Prediction",
    "Samples",
    "Targets",
    "TrainConfig",
    "build_model",
    "check_trainable",
    "evaluate",
    "evaluate_nodes",
    "fit",
    "fit_nodes",
    "metric",
    "molecule_samples",
    "predict",
    "predict_molecules",
    "train_ensemble",
    "train_molecules",
]
