"""Programs written for qiskit-machine-learning, run by executors of ours."""

from hybridopt.qiskit_ml.conversion import from_qnn
from hybridopt.qiskit_ml.estimator import AerEstimator
from hybridopt.qiskit_ml.gradients import AerEstimatorGradient, AerSamplerGradient
from hybridopt.qiskit_ml.interpreted_layer import InterpretedLayer
from hybridopt.qiskit_ml.sampler import AerSampler

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
