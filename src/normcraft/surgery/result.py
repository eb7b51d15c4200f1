"""What a pass returns: the edited copy and the evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

__all__ = ["EditResult"]


@dataclass(frozen=True, eq=False)
class EditResult:
    """An edited copy of a model and what was done to get there.

    Attributes:
        model: The copy; compiled as the original was. The original is untouched.
        inserted: `(site, kind)` of every normalization inserted.
        removed: Site of every normalization removed.
        skipped: `(site, reason)` of every place that was asked for and refused.
        biases_dropped: Biases removed because the inserted normalization subtracts them again.
        biases_restored: Zero biases given back to layers that lost the shift of a removed
            normalization.
        activations_replaced: Hidden activations swapped for another.

    Example:
        >>> from normcraft.surgery import place
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])
        >>> place(model, "output").document()["inserted"]
        [{'site': 'head', 'kind': 'batch'}]
    """

    model: keras.Model
    inserted: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    biases_dropped: int = 0
    biases_restored: int = 0
    activations_replaced: int = 0

    @property
    def modified(self) -> bool:
        """Whether anything was changed."""
        return bool(self.inserted or self.removed or self.activations_replaced)

    def document(self) -> dict[str, Any]:
        """The evidence as the JSON document that the commands print.

        Returns:
            `inserted`, `removed`, `skipped` as lists, and the counts.
        """
        return {
            "inserted": [{"site": site, "kind": kind} for site, kind in self.inserted],
            "removed": list(self.removed),
            "skipped": [{"site": site, "reason": reason} for site, reason in self.skipped],
            "biases_dropped": self.biases_dropped,
            "biases_restored": self.biases_restored,
            "activations_replaced": self.activations_replaced,
        }
