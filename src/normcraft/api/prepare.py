"""From what a user passes as model and data to what a study takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.api.labels import build_recipe_for, fit_labels, tells_classes
from normcraft.data import (
    Dataset,
    class_notes,
    from_arrays,
    load_dataset,
    prepare,
    split,
    take,
)
from normcraft.graph import LayerGraph
from normcraft.recipes import load_model, recipe_names

__all__ = ["as_dataset", "calibration_inputs", "fit_to_model", "load_for", "model_and_data"]

CALIBRATION_ROWS = 2048


def as_dataset(
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    target: str | None = None,
    labels: str = "auto",
) -> Dataset:
    """The data of a comparison.

    Args:
        x: Arrays, a `Dataset`, or a name or path in place of both.
        y: Labels; None where `x` is a name, a path or a `Dataset`.
        validation_data: `(x, y)` that replace the split of each seed.
        target: Column of the labels in a table.
        labels: How labels are coded, as in `load_dataset`.

    Returns:
        A dataset.

    Raises:
        InputError: If labels are missing, or given beside a dataset's name.
    """
    if isinstance(x, Dataset | str) or hasattr(x, "__fspath__"):
        if y is not None:
            raise InputError(
                "labels beside the name of a dataset",
                received="x as a name and y as well",
                expected="arrays for both, or a dataset alone",
            )
        dataset = x if isinstance(x, Dataset) else load_dataset(x, target=target, labels=labels)
        return dataset if validation_data is None else _with_validation(dataset, validation_data)
    if y is None:
        raise InputError(
            "labels are missing",
            received=f"x ({type(x).__name__}) alone",
            expected="compare(model, x, y), or the name of a dataset in place of x",
            hint="a tf.data.Dataset, PyTorch loader or generator has to become arrays first",
        )
    return from_arrays(x, y, validation_data=validation_data, labels=labels)


def _with_validation(dataset: Dataset, validation_data: Any) -> Dataset:
    given = from_arrays(dataset.x_train, dataset.y_train, validation_data=validation_data)
    return replace(dataset, x_validation=given.x_validation, y_validation=given.y_validation)


def model_and_data(
    source: Any,
    dataset: Dataset,
    *,
    imports: Sequence[str] = (),
    unsafe: bool = False,
    rescale: str = "auto",
) -> tuple[keras.Model, Dataset]:
    """What a study takes: the model, and the data in its form with notes on their classes.

    Args:
        source: As `load_for` takes it.
        dataset: The data.
        imports: Modules with custom layers.
        unsafe: Whether to load model files that carry code.
        rescale: As `fit_to_model` takes it.

    Returns:
        `(model, dataset)`.
    """
    if dataset.x_validation is None:
        split(dataset.y_train, seed=0)  # refuses what cannot be split before anything is built
    model = load_for(source, dataset, imports=imports, unsafe=unsafe)
    fitted = fit_to_model(dataset, model, rescale=rescale)
    if tells_classes(model, fitted):
        fitted = replace(fitted, notes=(*fitted.notes, *class_notes(fitted)))
    return model, fitted


def load_for(
    source: Any, dataset: Dataset, *, imports: Sequence[str] = (), unsafe: bool = False
) -> keras.Model:
    """The model of a comparison; a recipe is built in the sizes that fit the data.

    Args:
        source: A model, a builder, a file, or a recipe's name.
        dataset: The data.
        imports: Modules with custom layers.
        unsafe: Whether to load model files that carry code.

    Returns:
        A built model.
    """
    is_name = isinstance(source, str) and source in recipe_names() and not Path(source).exists()
    if is_name and not imports and isinstance(dataset.x_train, np.ndarray):
        return build_recipe_for(source, dataset)
    return load_model(source, imports=tuple(imports), unsafe=unsafe)


def fit_to_model(dataset: Dataset, model: keras.Model, *, rescale: str = "auto") -> Dataset:
    """Brings data into the shape, scale and label coding that a model takes.

    Args:
        dataset: The data.
        model: A model; several inputs are taken as they are.
        rescale: `"auto"` scales integer images to [0, 1], `"none"` leaves them raw.

    Returns:
        The dataset, with a note for everything that was done.
    """
    graph = LayerGraph.read(model)
    if len(graph.inputs) == 1 and isinstance(dataset.x_train, np.ndarray):
        entry = graph.inputs[0]
        shape = tuple(entry.shape[1:])
        dataset = prepare(dataset, shape, rescale=rescale, input_dtype=entry.dtype)
    return fit_labels(dataset, model)


def calibration_inputs(dataset: Dataset) -> Any:
    """Inputs that a calibration uses: at most 2,048 rows, spread evenly over the training data.

    Returns:
        Arrays in the structure of the dataset's inputs.
    """
    rows = min(dataset.num_samples, CALIBRATION_ROWS)
    return take(dataset.x_train, np.linspace(0, dataset.num_samples - 1, rows).astype(int))
