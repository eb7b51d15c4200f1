"""How a comparison within a budget was searched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Control", "SearchSummary", "SearchedArm", "SearchedRung"]

Interval = tuple[float, float]


@dataclass(frozen=True)
class SearchedRung:
    """A rung of a search.

    Attributes:
        epochs: Length of its trials.
        seeds: Seeds that each candidate ran.
        candidates: Arms at learning rates that entered.
        kept: How many of them went on; to the confirming stage from the last rung.
        complete: Whether all its trials have ended.
    """

    epochs: int
    seeds: int
    candidates: int
    kept: int
    complete: bool


@dataclass(frozen=True)
class SearchedArm:
    """How an arm fared in a search.

    Attributes:
        name: Name of the arm.
        parent: The arm that it is a variant of, or None.
        learning_rate: Its best learning rate in the longest rung that it reached; None if it
            never began.
        epochs: Length of that rung.
        mean: Its mean score there, statistics re-estimated.
        pairs: Fresh seeds on which it was tested.
        left: Where and why it left, or that it is still in.
        is_in: Whether it still gets trials.
    """

    name: str
    parent: str | None
    learning_rate: float | None
    epochs: int | None
    mean: float | None
    pairs: int
    left: str
    is_in: bool


@dataclass(frozen=True)
class Control:
    """A control of a search, tested against the baseline like an arm, outside of the verdict.

    Attributes:
        name: `"no change"` (the baseline's model on seeds of its own) or `"random"` (an arm and a
            learning rate drawn uniformly).
        arm: Its arm.
        learning_rate: Its learning rate.
        pairs: Pairs that count.
        difference: Control minus baseline, positive is better.
        interval: Interval of it; None where so few pairs show nothing, or before the end.
        p_value: Its own, not adjusted for the arms.
        outcome: The outcome; None before the end.
    """

    name: str
    arm: str
    learning_rate: float
    pairs: int
    difference: float | None
    interval: Interval | None
    p_value: float | None
    outcome: Literal["better", "worse", "equal", "cannot_tell"] | None


@dataclass(frozen=True)
class SearchSummary:
    """How a comparison within a budget was searched.

    Attributes:
        budget: The budget, as it was given.
        stage: Where the search stands, in words.
        ended: Whether it has ended.
        rungs: The rungs that have begun.
        arms: All arms, in the order of the study.
        controls: The controls; none before the confirming stage.
        looks: `(fresh seeds, error probability)` of every look of the confirming stage.
        looked: How many of them have taken place.
        fresh: Fresh seeds that the confirming stage has run.
        epochs: Epochs of all its trials, controls included.
        grid_epochs: Epochs that the full grid would take.
        chosen: Arm that is handed back: the winner, else the best estimate; None before any.
    """

    budget: str
    stage: str
    ended: bool
    rungs: tuple[SearchedRung, ...]
    arms: tuple[SearchedArm, ...]
    controls: tuple[Control, ...]
    looks: tuple[tuple[int, float], ...]
    looked: int
    fresh: tuple[int, ...]
    epochs: int
    grid_epochs: int
    chosen: str | None
