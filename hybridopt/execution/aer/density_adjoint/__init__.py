"""Adjoint rule for density matrices: exact derivatives of circuits with noise."""
