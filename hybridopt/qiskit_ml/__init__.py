"""Programs of qiskit-machine-learning on executors of hybridopt."""

from importlib import import_module
from typing import TYPE_CHECKING

from hybridopt._validation import no_attribute
from hybridopt.qiskit_ml.conversion import InterpretedLayer, from_qnn
from hybridopt.qiskit_ml.estimator import AerEstimator
from hybridopt.qiskit_ml.sampler import AerSampler

if TYPE_CHECKING:
    from hybridopt.qiskit_ml.gradients import AerEstimatorGradient, AerSamplerGradient

__all__ = [
    # networks as layers
    "InterpretedLayer",
    "from_qnn",
    # plug-ins
    "AerEstimator",
    "AerEstimatorGradient",
    "AerSampler",
    "AerSamplerGradient",
]


def __getattr__(name: str) -> object:  # gradients import much of qiskit-machine-learning
    if name not in __all__:
        raise no_attribute(__name__, name)
    return getattr(import_module(f"{__name__}.gradients"), name)
