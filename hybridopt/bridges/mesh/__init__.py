"""Mesh bridge: data pass through circuits in place of Linear and Conv2d layers."""
