"""OpenQASM 2 and 3: read, convert and write circuits."""
