"""Qiskit Aer as an executor: on CPU or GPU, exact, with shots or with noise."""
