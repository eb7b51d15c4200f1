"""explain: what normalization does in a model on real data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.files import write_atomically
from normcraft.api.prepare import as_dataset, fit_inputs, fit_to_model, load_for
from normcraft.data import Dataset, as_arrays, find_source, from_arrays, leaves
from normcraft.diagnostics import (
    ROWS,
    Explanation,
    LayerExplanation,
    check_count,
    explain_model,
    measure_shift,
)
from normcraft.report.explanation_page import render_explanation
from normcraft.report.explanation_text import explanation_text

__all__ = ["Explained", "explain"]


class Explained:
    """What `explain` found.

    Attributes:
        explanation: All of it, as plain frozen values.
        layers: One for each normalization call, or where there is none for each site.

    Args:
        explanation: All of it.

    Example:
        >>> found = explain("digits_cnn", "digits", layer="conv1")
        >>> [layer.placement for layer in found.layers]
        ['before_activation', 'after_activation']
    """

    def __init__(self, explanation: Explanation) -> None:
        self.explanation = explanation

    @property
    def layers(self) -> tuple[LayerExplanation, ...]:
        """One for each normalization call, or where there is none for each site."""
        return self.explanation.layers

    def document(self) -> dict[str, Any]:
        """The explanation as the JSON document that `normcraft explain --json` prints.

        Returns:
            A JSON-able dictionary.
        """
        return self.explanation.document()

    def html(self) -> str:
        """The explanation with pictures.

        Returns:
            A whole HTML page that needs no network.
        """
        return render_explanation(self.explanation)

    def report(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Writes the page.

        Args:
            path: Where.
            force: Whether to replace a file that stands there.

        Returns:
            The path.
        """
        return write_atomically(path, self.html(), force=force)

    def __repr__(self) -> str:
        return explanation_text(self.explanation)


def explain(
    model: Any,
    x: Any,
    y: Any = None,
    *,
    layer: str | None = None,
    steps: int | None = None,
    train: int = 0,
    rows: int = ROWS,
    target: str | None = None,
    rescale: str = "auto",
    imports: Sequence[str] = (),
    unsafe: bool = False,
) -> Explained:
    """The steps of normalization on your activations: statistics, normalized, scaled and shifted.

    For each normalization layer, or where there is none for each site where one could be. The
    model is run on the first rows in training mode and at inference, dropout off. It is not
    changed.

    Args:
        model: As `compare` takes it.
        x: Inputs as `Model.predict` takes arrays; or, in place of `x` and `y`, whatever `compare`
            takes there.
        y: Labels; only `train` needs them.
        layer: Name of one normalization layer or site to look at; None for all normalization, or
            where there is none for all sites.
        steps: Training steps that the moving averages have seen; None for those that the model's
            optimizer has counted.
        train: Steps to train copies of the model for, one with normalization and one without, to
            see how far the distributions move; 0 for none.
        rows: How many of the first rows to look at.
        target: Column of the labels in a table.
        rescale: `"auto"` scales integer images to [0, 1] where the model does not scale its inputs
            itself, `"none"` leaves them raw.
        imports: Modules with custom layers.
        unsafe: Whether to load model files that carry code.

    Returns:
        The explanation; printed it is a table, `.report(path)` writes the page with pictures.

    Raises:
        InputError: If model and data do not fit, there is no such layer, or labels are missing.

    Example:
        >>> import normcraft as nc
        >>> model = nc.insert_normalization(nc.recipes.digits_cnn(), "before_activation").model
        >>> found = explain(model, "digits", steps=100)
        >>> found.layers[0].effective_samples, round(found.layers[0].initial_weight, 3)
        (2048, 0.366)
    """  # noqa: DOC502 - raised further down
    check_count(train, "train")
    dataset = _dataset(x, y, target, train=train)
    loaded = load_for(model, dataset, imports=imports, unsafe=unsafe)
    fit = fit_to_model if train else fit_inputs
    fitted = fit(dataset, loaded, rescale=rescale)
    found = explain_model(loaded, fitted.x_train, layer=layer, steps=steps, rows=rows)
    if train:
        shift = measure_shift(loaded, fitted, steps=train, layer=layer, rows=rows)
        found = replace(found, shift=shift, trained_steps=train)
    notes = (*fitted.notes, *found.notes)
    return Explained(replace(found, data=dataset.name, notes=notes))


def _dataset(x: Any, y: Any, target: str | None, *, train: int) -> Dataset:
    named = isinstance(x, str | Dataset) or hasattr(x, "__fspath__") or find_source(x) is not None
    if named or y is not None:
        return as_dataset(x, y, target=target)
    if train:
        raise InputError(
            "training needs labels",
            received=f"x ({type(x).__name__}) alone and train={train}",
            expected="explain(model, x, y, train=...), or the name of a dataset in place of x",
        )
    inputs = as_arrays("x", x)
    (rows, *_) = (*next(iter(leaves(inputs).values())).shape, 0)
    return from_arrays(inputs, np.zeros(rows, "int64"))
