"""Executor on samplers and estimators of Qiskit, local or remote."""
