"""Quantum-classical training of neural networks on Qiskit Aer and torch."""
