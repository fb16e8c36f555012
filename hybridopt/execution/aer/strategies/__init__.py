"""Strategies to run a job on Aer, with equal results."""
