"""Programs written for qiskit-machine-learning, run by executors of ours."""

from hybridopt.qiskit_ml.conversion import from_qnn
from hybridopt.qiskit_ml.estimator import AerEstimator
from hybridopt.qiskit_ml.estimator_gradient import AerEstimatorGradient
from hybridopt.qiskit_ml.interpreted_layer import InterpretedLayer
from hybridopt.qiskit_ml.sampler import AerSampler
from hybridopt.qiskit_ml.sampler_gradient import AerSamplerGradient

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
