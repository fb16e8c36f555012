"""Adjoint rule for matrix product states."""
