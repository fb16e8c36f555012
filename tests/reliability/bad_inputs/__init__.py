"""Bad inputs to the public functions and the command line: what strangers get wrong.

Each entry of `CALLS` is a call and a piece of what the error says; each of `COMMANDS` the words
after ``hybridopt``, and a piece of what standard error says. The calls get a folder of their own.
"""

from tests.reliability.bad_inputs.circuits import CIRCUITS
from tests.reliability.bad_inputs.commands import COMMANDS
from tests.reliability.bad_inputs.networks import NETWORKS
from tests.reliability.bad_inputs.training import DATA, TRAINING

__all__ = ["CALLS", "COMMANDS"]

CALLS = {**DATA, **TRAINING, **NETWORKS, **CIRCUITS}
