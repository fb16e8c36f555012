"""Executors that pass jobs on, as those of users or of a service do."""

from __future__ import annotations

from hybridopt.execution import AerExecutor, Executor, PendingResult


class Relay(Executor):
    """Executor with the abstract methods only."""

    def __init__(self, noise_model=None) -> None:
        self._inner = AerExecutor(noise_model=noise_model)

    shots = property(lambda self: self._inner.shots)
    usage = property(lambda self: self._inner.usage)
    has_noise = property(lambda self: self._inner.has_noise)

    def check(self, program, readout):
        self._inner.check(program, readout)

    def run(self, job):
        return self._inner.run(job)

    def explain(self, job):
        return self._inner.explain(job)

    def state_dict(self):
        return self._inner.state_dict()

    def load_state_dict(self, state):
        self._inner.load_state_dict(state)


class Remote(Relay):
    """Executor that notes the order in which jobs are submitted and results are waited for."""

    is_remote = True

    def __init__(self, **options) -> None:
        self._inner = AerExecutor(**options)
        self.events: list[str] = []

    def submit(self, job):
        self.events.append(f"submit {len(job.shared)}x{len(job.rows)}")
        return Waiting(self, job)

    def run(self, job):
        return self.submit(job).result()


class Waiting(PendingResult):
    def __init__(self, remote, job):
        self.remote, self.job, self.done = remote, job, None

    def result(self):
        if self.done is None:
            self.remote.events.append(f"wait {len(self.job.shared)}x{len(self.job.rows)}")
            self.done = self.remote._inner.run(self.job)
        return self.done
