"""Bad inputs of the public functions and of the command line.

``CALLS`` maps a name to a call, the class of its error and a part of the message. Each call gets
its own folder. ``COMMANDS`` maps a command line to a part of standard error.
"""

from tests.reliability.bad_inputs.circuits import CIRCUITS
from tests.reliability.bad_inputs.commands import COMMANDS
from tests.reliability.bad_inputs.networks import NETWORKS
from tests.reliability.bad_inputs.training import DATA, TRAINING

__all__ = ["CALLS", "COMMANDS"]

CALLS = {
    name: (call, kind, says)
    for table in (DATA, TRAINING, NETWORKS, CIRCUITS)
    for kind, entries in table.items()
    for name, (call, says) in entries.items()
}
