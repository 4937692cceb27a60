"""Training: a fit loop that can be killed and resumed, ensembles, metrics and checkpoints."""

from topodiff.training.config import FitConfig
from topodiff.training.fit import Fitted, fit
from topodiff.training.inference import predict
from topodiff.training.metrics import evaluate, metric
from topodiff.training.run import NonFiniteError
from topodiff.training.samples import Samples
from topodiff.training.targets import Targets

__all__ = [
    "FitConfig",
    "Fitted",
    "NonFiniteError",
    "Samples",
    "Targets",
    "evaluate",
    "fit",
    "metric",
    "predict",
]
