"""What a study is about, beside its arms and trials."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["About"]


@dataclass(frozen=True)
class About:
    """What a study is about, beside its arms and trials; kept in the store.

    Attributes:
        model: Name of the model, for headings.
        data: Name of the data, for headings.
        baseline: Arm that every other is tested against.
        metric: Key of the metric that judges.
        higher_is_better: Its direction.
        as_fraction: Whether it reads well in points.
        smallest_effect: Difference that counts as none; None for the default.
        trainer: How trials are trained.
        executor: Where they run.
        notes: Remarks, one line each.
        command: How to run the study again.
        search: The budget and the design of a search (docs/search.md); None for a full grid.
    """

    model: str
    data: str
    baseline: str
    metric: str
    higher_is_better: bool
    as_fraction: bool
    smallest_effect: float | None
    trainer: str
    executor: str
    notes: tuple[str, ...] = ()
    command: str | None = None
    search: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """The same as a JSON-able dictionary.

        Returns:
            All fields by name.
        """
        return asdict(self)

    @property
    def judging(self) -> dict[str, Any]:
        """What scores are judged by, as `summarize` takes it."""
        names = ("baseline", "higher_is_better", "smallest_effect", "as_fraction", "metric")
        return {name: getattr(self, name) for name in names}
