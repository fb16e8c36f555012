"""Command line for ``python -m hybridopt``."""

from hybridopt.cli import main

if __name__ == "__main__":
    main()
