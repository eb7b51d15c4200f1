"""Generated calls of the reference, and what is computed apart from it to hold it against."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from normcraft.moments import reference

KINDS = {
    "batch": reference.batch_norm,
    "ghost_batch": reference.ghost_batch_norm,
    "batch_renorm": reference.batch_renorm,
    "layer": reference.layer_norm,
    "group": reference.group_norm,
    "instance": reference.instance_norm,
    "rms": reference.rms_norm,
}
KEEPS_ROWS_APART = {"ghost_batch", "group", "instance"}
TAKES_A_MASK = {"batch", "ghost_batch", "batch_renorm"}


@dataclass(frozen=True, eq=False)
class Call:
    """One call of the reference: the kind, its three inputs, and all else."""

    kind: str
    x: np.ndarray
    gamma: np.ndarray
    beta: np.ndarray
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def axis(self) -> int:
        return self.options["axis"] % self.x.ndim

    @property
    def counted(self) -> np.ndarray:
        """Which values the mask lets through, in the shape of x."""
        mask = self.options.get("mask")
        return np.broadcast_to(True if mask is None else mask[..., None], self.x.shape)

    def run(self, **changes: Any) -> reference.Normalized:
        call = replace(self, **changes)
        return KINDS[self.kind](call.x, call.gamma, call.beta, **call.options)

    def population(self, index: tuple[int, ...]) -> tuple[int, ...]:
        """The name of the population that a value is in: values of one name share statistics."""
        channel = index[self.axis]
        if self.kind in {"layer", "rms"}:
            return tuple(i for axis, i in enumerate(index) if axis != self.axis)
        if self.kind == "ghost_batch":
            return index[0] // self.options["virtual_batch_size"], channel
        if self.kind == "instance":
            return index[0], channel
        if self.kind == "group":
            size = self.x.shape[self.axis] // self.options["groups"]
            return index[0], channel // size
        return (channel,)

    def populations(self) -> dict[tuple[int, ...], list[float]]:
        """The values that count of each, found by asking every value where it belongs."""
        found: dict[tuple[int, ...], list[float]] = {}
        for index in itertools.product(*map(range, self.x.shape)):
            values = found.setdefault(self.population(index), [])
            if self.counted[index]:
                values.append(float(self.x[index]))
        return found

    def moments(self) -> dict[tuple[int, ...], tuple[float, float, int]]:
        """Mean, biased variance and count of each, by Python's exact fractions."""
        return {name: self._moments(values) for name, values in self.populations().items()}

    def _moments(self, values: list[float]) -> tuple[float, float, int]:
        if not values:
            return 0.0, 0.0, 0
        mean = 0.0 if self.kind == "rms" else statistics.fmean(values)
        return mean, statistics.fmean([(value - mean) ** 2 for value in values]), len(values)


def masks(shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Masks of all the shapes that Keras broadcasts over an input of a shape."""
    sizes = st.tuples(*(st.sampled_from([size, 1]) for size in shape[:-1]))
    return sizes.flatmap(lambda sizes: st.builds(_drawn_mask, st.just(sizes), st.integers(0, 99)))


def _drawn_mask(sizes: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(size=sizes) < 0.6


@st.composite
def calls(draw: Any, kind: str, largest: int = 4) -> Call:
    """Calls of a kind: any rank from 2, any axis that it takes, masks where it takes them."""
    shape = tuple(draw(st.lists(st.integers(1, largest), min_size=2, max_size=4)))
    rank, generator = len(shape), np.random.default_rng(draw(st.integers(0, 2**20)))
    axis = draw(st.integers(1 if kind in KEEPS_ROWS_APART else 0, rank - 1))
    options = {"axis": axis - draw(st.sampled_from([0, rank])), "epsilon": 1e-2}
    channels = shape[axis]
    if kind in TAKES_A_MASK:
        options["mask"] = draw(st.none() | masks(shape))
    if kind == "ghost_batch":
        options["virtual_batch_size"] = draw(st.integers(1, shape[0] + 1))
    if kind == "group":
        options["groups"] = draw(
            st.sampled_from([n for n in range(1, channels + 1) if channels % n == 0])
        )
    if kind == "batch_renorm":
        options |= {
            "moving_mean": generator.normal(size=channels),
            "moving_stddev": generator.uniform(0.0, 2.0, channels),
            "r_min": 0.5,
            "r_max": draw(st.sampled_from([0.5, 1.2, float("inf")])),
            "d_max": draw(st.sampled_from([0.0, 0.7, float("inf")])),
        }
    gamma, beta = generator.normal(1, 0.5, channels), generator.normal(size=channels)
    x = generator.normal(draw(st.sampled_from([0.0, 3.0])), 2, shape)
    return Call(kind, x, gamma, beta, options)


def corrections(call: Call) -> tuple[np.ndarray, np.ndarray]:
    """r and d of batch renormalization, each of shape (channels,): algorithm 1 of Ioffe (2017)."""
    found, options = call.moments(), call.options
    floor = options["epsilon"] ** 0.5
    r, d = [], []
    for channel in range(call.x.shape[call.axis]):
        mean, variance, _ = found[channel,]
        stddev = max(options["moving_stddev"][channel], floor)
        ratio = (variance + options["epsilon"]) ** 0.5 / stddev
        shift = (mean - options["moving_mean"][channel]) / stddev
        r.append(min(max(ratio, options["r_min"]), options["r_max"]))
        d.append(min(max(shift, -options["d_max"]), options["d_max"]))
    return np.array(r), np.array(d)
