"""What a pass returns: the edited copy and the evidence."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import keras

from normcraft.surgery.equivalence import Equivalence

__all__ = ["EditResult"]


@dataclass(frozen=True, eq=False)
class EditResult:
    """An edited copy of a model and what was done to get there.

    A site is named as `LayerGraph` names calls.

    Attributes:
        model: The copy; compiled as the original was. The original is untouched.
        inserted: `(site, kind)` of every normalization inserted.
        removed: Site of every normalization removed.
        moved: `(site, new site)` of every normalization moved.
        replaced: `(site, kind)` of every normalization replaced, with the new kind.
        kept: `(site, reason)` of normalization that was to go or to change, and stays as it was.
        skipped: `(site, reason)` of every place that was asked for and refused.
        folded: How many of the removed ones went into other weights, with the function kept.
        biases_dropped: Biases removed because the normalization behind them subtracts them again;
            where it keeps statistics, its shift takes them over.
        biases_restored: Biases given to layers that lost the shift of a removed normalization:
            zero, or where that was folded its shift.
        activations_replaced: Hidden activations swapped for another.
        layers: Batch normalization whose statistics were re-estimated.
        samples: Over how many samples they were.
        inference_difference: After calibration, how far outputs at inference moved on the data of
            the calibration: max|a − b| / max|a|, the largest over the outputs.
        training_difference: After calibration, how far outputs in training mode moved, likewise:
            inserted normalization then works on the statistics of each batch.
        equivalence: What a check found that the copy computes the same; None where none was made.

    Example:
        >>> from normcraft.surgery import place
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")])
        >>> place(model, "output").document()["inserted"]
        [{'site': 'head', 'kind': 'batch'}]
    """

    model: keras.Model
    inserted: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    moved: tuple[tuple[str, str], ...] = ()
    replaced: tuple[tuple[str, str], ...] = ()
    kept: tuple[tuple[str, str], ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    folded: int = 0
    biases_dropped: int = 0
    biases_restored: int = 0
    activations_replaced: int = 0
    layers: int = 0
    samples: int = 0
    inference_difference: float | None = None
    training_difference: float | None = None
    equivalence: Equivalence | None = None

    @property
    def modified(self) -> bool:
        """Whether anything was changed."""
        counts = (self.activations_replaced, self.layers)
        return any((self.inserted, self.removed, self.moved, self.replaced, *counts))

    def document(self) -> dict[str, Any]:
        """The evidence as the JSON document that the commands print.

        Returns:
            Sites with kinds and reasons as lists of objects, the counts, and the differences.
        """
        evidence = {field.name: getattr(self, field.name) for field in fields(self)}
        del evidence["model"], evidence["equivalence"]
        found = self.equivalence
        if found is not None:
            evidence["max_relative_difference"] = found.largest("relative")
            evidence["equivalent"] = found.equivalent
            evidence["constant_outputs"] = list(found.constant)
        keys = {"inserted": "kind", "replaced": "kind", "moved": "to"}
        keys |= {"kept": "reason", "skipped": "reason"}
        listed = {
            name: [{"site": site, key: value} for site, value in evidence[name]]
            for name, key in keys.items()
        }
        return evidence | listed | {"removed": list(self.removed)}
