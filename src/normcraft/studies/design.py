"""What a study varies (Grid) and how long it may take (Budget)."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from normcraft._core.errors import InputError, did_you_mean
from normcraft.kinds import load_kind
from normcraft.placements import Placement
from normcraft.studies.search.limit import Limit

__all__ = ["Budget", "Grid", "as_count", "check_number"]

AUTO = ("auto",)
INSERTS_NOTHING = {"as_given", "none"}
MOST = 2**31 - 1  # what the backends take as a size
MOST_SEEDS = 100_000


@dataclass(frozen=True)
class Grid:
    """What varies between the arms of a study, and the learning rates that each arm tries.

    Attributes:
        placements: Placement expressions; None for the defaults (`none`, `before_activation`,
            `after_activation`, and `as_given` where the model has normalization); `"auto"` for
            every placement that exists for the model.
        kinds: Kinds of normalization to insert.
        activations: Hidden activations to swap in; None leaves the model's own.
        learning_rates: Learning rates tried by every arm; None for the optimizer's own.
        batch_sizes: Samples a step.

    Example:
        >>> Grid(placements=("none", "input"), kinds=("batch", "layer")).kinds
        ('batch', 'layer')
    """

    placements: tuple[str, ...] | None = None
    kinds: tuple[str, ...] = ("batch",)
    activations: tuple[str, ...] | None = None
    learning_rates: tuple[float, ...] | None = None
    batch_sizes: tuple[int, ...] = (32,)

    def __post_init__(self) -> None:
        sizes = [as_count("batch size", size, above=0) for size in _several(self.batch_sizes)]
        object.__setattr__(self, "batch_sizes", sizes)
        for field in ("placements", "kinds", "activations", "learning_rates", "batch_sizes"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, _distinct(field, value))
        for placement in self.placements or ():
            if self.placements != AUTO:
                Placement.parse(placement)
        for kind in self.kinds:
            load_kind(kind)
        for activation in self.activations or ():
            _check_activation(activation)
        for rate in self.learning_rates or ():
            check_number("learning rate", rate, above=0)

    def variants(self, default: Sequence[str]) -> list[tuple[str, str | None, str | None, int]]:
        """The arms: every combination that differs.

        Args:
            default: Placements to use where none were given.

        Returns:
            `(placement, kind, activation, batch size)`; kind is None where nothing is inserted.
        """
        found = [
            (str(Placement.parse(placement)), kind, activation, size)
            for size in self.batch_sizes
            for activation in self.activations or (None,)
            for placement in self.placements or default
            for kind in self._kinds_of(placement)
        ]
        return list(dict.fromkeys(found))

    def _kinds_of(self, placement: str) -> tuple[str | None, ...]:
        return (None,) if placement.partition("@")[0] in INSERTS_NOTHING else self.kinds

    def name(self, placement: str, kind: str | None, activation: str | None, size: int) -> str:
        """Name of an arm: its placement, and each other factor that has several levels.

        Returns:
            For example `"before_activation/layer"`.
        """
        parts = [placement]
        if kind is not None and (len(self.kinds) > 1 or kind != "batch"):
            parts.append(kind)
        if activation is not None and len(self.activations or ()) > 1:
            parts.append(activation)
        if len(self.batch_sizes) > 1:
            parts.append(f"batch{size}")
        return "/".join(parts)


@dataclass(frozen=True)
class Budget:
    """How long a study may take.

    Attributes:
        seeds: Trial seeds; a number n stands for 0 … n − 1. Every arm runs every seed.
        epochs: Epochs of a trial.
        steps_per_epoch: Steps in an epoch; None for all batches of the training data.
        limit: What all trials together may take (`"10m"`, `"64trials"`, `"500epochs"`): the grid is
            then searched rather than run as a whole. None runs all of it.

    Example:
        >>> Budget(seeds=3).seeds
        (0, 1, 2)
    """

    seeds: int | Sequence[int] = 8
    epochs: int = 10
    steps_per_epoch: int | None = None
    limit: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "seeds", _seeds(self.seeds))
        object.__setattr__(self, "epochs", as_count("epochs", self.epochs, above=0))
        if self.steps_per_epoch is not None:
            steps = as_count("steps per epoch", self.steps_per_epoch, above=0)
            object.__setattr__(self, "steps_per_epoch", steps)
        if self.limit is not None:
            Limit.parse(self.limit)

    @property
    def trial_seeds(self) -> tuple[int, ...]:
        """The seeds as a tuple."""
        assert isinstance(self.seeds, tuple)
        return self.seeds


def _seeds(seeds: Any) -> tuple[int, ...]:
    if not _are_several(seeds):
        seeds = range(as_count("number of seeds", seeds, above=0, most=MOST_SEEDS))
    return _distinct("seeds", [as_count("seed", seed, above=-1) for seed in seeds])


def _distinct(field: str, values: Any) -> tuple[Any, ...]:
    found = tuple(dict.fromkeys(_several(values)))
    if not found:
        raise InputError(f"{field} is empty", received="nothing", expected="at least one value")
    return found


def _several(values: Any) -> Iterable[Any]:
    return values if _are_several(values) else (values,)


def _are_several(values: Any) -> bool:
    # An array without axes can be iterated by its type, and not in fact.
    is_single = isinstance(values, str) or getattr(values, "ndim", 1) == 0
    return isinstance(values, Iterable) and not is_single


def _check_activation(name: Any) -> None:
    try:
        keras.activations.get(name)
    except (ValueError, TypeError) as error:
        raise InputError(
            "unknown activation",
            received=repr(name),
            expected="the name of a Keras activation, for example relu, sigmoid, tanh, gelu",
            hint=did_you_mean(name, vars(keras.activations)),
        ) from error


def check_number(what: str, value: Any, *, above: int) -> None:
    """Refuses what is no number between two bounds.

    Args:
        what: What it is, for the error.
        value: The value.
        above: The bound below.

    Raises:
        InputError: If it is none.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not above < value <= MOST:
        too_large = is_number and value > MOST
        raise InputError(
            f"bad {what}",
            received=repr(value),
            expected=f"a number above {above}" + f" and up to {MOST:,}" * too_large,
        )


def as_count(what: str, value: Any, *, above: int, most: int = MOST) -> int:
    """A number of things as a plain int, whichever kind of integer it was given as.

    Args:
        what: What it is, for the error.
        value: The value; NumPy's integers are as good as Python's.
        above: The bound below.
        most: The largest value.

    Returns:
        The number.

    Raises:
        InputError: If it is no integer, or not between the bounds.

    Example:
        >>> as_count("epochs", 3, above=0)
        3
    """
    count = _as_int(value)
    if count is None or not above < count <= most:
        too_large = count is not None and count > most
        raise InputError(
            f"bad {what}",
            received=repr(value),
            expected=f"a whole number above {above}" + f" and up to {most:,}" * too_large,
            hint=_as_integer(value, above, most),
        )
    return count


def _as_int(value: Any) -> int | None:
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def _as_integer(value: Any, above: int, most: int) -> str | None:
    is_meant = isinstance(value, float) and value.is_integer() and above < value <= most
    return f"write {int(value)}" if is_meant else None
