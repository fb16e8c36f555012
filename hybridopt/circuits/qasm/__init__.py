"""OpenQASM 3: read and convert circuits."""
