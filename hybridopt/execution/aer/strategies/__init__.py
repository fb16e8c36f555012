"""Strategies to run a job on Aer; all give the same numbers."""
