"""Where trials run: here, in worker processes, or on Ray. Knows nothing of Keras.

An executor is one file with

- `run(job) -> Iterator[TrialRecord]`: runs the groups of a `Job` and yields records as they come;
- `PLAN`: what of it decides a trial's numbers (threads), in words; part of a trial's hash;
- `SHARES_MEMORY`: whether workers live in this process, so that nothing has to travel;
- `SHARES_FILES`: whether they read the files that this process writes.
"""

from normcraft.executors._job import Group, Job, OnEpoch, Worker

__all__ = ["Group", "Job", "OnEpoch", "Worker"]
