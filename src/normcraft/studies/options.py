"""How a study is run and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from normcraft._core.errors import InputError, unknown_name
from normcraft._core.registry import load, members
from normcraft.studies.design import as_count, check_number
from normcraft.trainers import TRAINERS, ClassWeight, as_class_weight

__all__ = ["Options"]

EXECUTORS = ("auto", *members("normcraft.executors"))
INITIAL = ("reinitialize", "keep")


@dataclass(frozen=True)
class Options:
    """How a study is run and judged, beside what varies and how long.

    Attributes:
        loss: Name of a Keras loss in place of the compiled one.
        metric: Metric that judges, in place of the first compiled one.
        optimizer: Name of a Keras optimizer in place of the compiled one.
        class_weight: How much the samples of each class count in the training loss, as in
            `Model.fit`: a weight for each class, or `"balanced"` for n / (classes · count) over the
            training labels of each trial. Validation and metrics are not weighted.
        trainer: `"fused"` (compiled programs, on JAX), `"fit"`, or `"auto"` for the first that can.
        executor: `"local"` in this process, `"processes"` in worker processes of one core each,
            `"ray"` on a Ray cluster, `"auto"` for the faster of the first two by measuring, where
            the fused trainer serves.
        workers: Worker processes, or workers on Ray; None for one a core.
        trial_timeout: Seconds after which a worker and its trial are given up; None never.
        ray_address: Of the cluster: `"auto"`, `"host:port"` or `"ray://host:port"`. None for the
            Ray that runs in this process, else `RAY_ADDRESS`, else one on this machine.
        worker_resources: What of the cluster each worker takes, by Ray's names for it, for example
            `{"GPU": 0.5}`; one CPU where nothing else is said.
        initial: `"reinitialize"` draws weights from each seed, `"keep"` begins with the model's.
        smallest_effect: Difference that counts as practically none, in the metric's unit; None for
            half a point of a fraction, else half a per cent of the baseline's mean.
        shuffle: Whether batches are drawn in random order; a replay of data in their order is not.
        baseline: Name of the arm to test against; None for `as_given`, else `none`.
        memory_limit: Bytes that a `tf.data.Dataset`, loader or generator may take as arrays; beyond
            it is streamed. None for 8 GiB or a quarter of the machine's memory, 0 to stream always.
        data_name: What to call the data; a stream is known again by it and by nothing else.
    """

    loss: str | None = None
    metric: str | None = None
    optimizer: str | None = None
    class_weight: ClassWeight | None = None
    trainer: str = "auto"
    executor: str = "auto"
    workers: int | None = None
    trial_timeout: float | None = None
    ray_address: str | None = None
    worker_resources: Mapping[str, float] | None = None
    initial: str = "reinitialize"
    smallest_effect: float | None = None
    shuffle: bool = True
    baseline: str | None = None
    memory_limit: int | None = None
    data_name: str | None = None

    def __post_init__(self) -> None:
        if self.trainer not in TRAINERS:
            raise unknown_name("trainer", self.trainer, TRAINERS)
        if self.initial not in INITIAL:
            raise unknown_name("initial", self.initial, INITIAL)
        if self.executor not in EXECUTORS:
            raise unknown_name("executor", self.executor, EXECUTORS)
        if self.class_weight is not None:
            object.__setattr__(self, "class_weight", as_class_weight(self.class_weight))
        self._check_workers()
        if self.smallest_effect is not None and not 0 <= self.smallest_effect < float("inf"):
            raise InputError(
                "bad smallest effect",
                received=repr(self.smallest_effect),
                expected="a number from 0, in the metric's unit (0.005 is half a point)",
            )
        if self.memory_limit is not None and self.memory_limit < 0:
            raise InputError(
                "bad memory limit", received=str(self.memory_limit), expected="bytes, 0 or more"
            )

    def _check_workers(self) -> None:
        for what in ("workers", "trial_timeout"):
            if self._runs_here and getattr(self, what) is not None:
                raise InputError(
                    f"{what} belongs to worker processes",
                    received=f"{getattr(self, what)} with executor {self.executor!r}",
                    hint="add --executor processes (executor='processes'), or ray",
                )
        for what in ("ray_address", "worker_resources"):
            if self.executor != "ray" and getattr(self, what) is not None:
                raise InputError(
                    f"{what} belongs to Ray",
                    received=f"{getattr(self, what)} with executor {self.executor!r}",
                    hint="add --executor ray (executor='ray')",
                )
        for name, amount in (self.worker_resources or {}).items():
            check_number(f"amount of {name}", amount, above=0)
        if self.workers is not None:
            workers = as_count("number of workers", self.workers, above=0)
            object.__setattr__(self, "workers", workers)
        if self.trial_timeout is not None:
            check_number("trial timeout", self.trial_timeout, above=0)

    @property
    def _runs_here(self) -> bool:
        name = self.executor
        return name == "auto" or load("normcraft.executors", name, what="executor").SHARES_MEMORY
