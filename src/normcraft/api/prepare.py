"""From what a user passes as model and data to what a study takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.api.labels import fit_labels, tells_classes
from normcraft.api.sized_recipe import build_recipe_for
from normcraft.data import (
    Dataset,
    class_notes,
    find_source,
    from_arrays,
    from_source,
    load_dataset,
    prepare,
    split,
    take,
    validation_arrays,
)
from normcraft.graph import LayerGraph, scaling_site
from normcraft.recipes import load_model, recipe_names

__all__ = [
    "as_dataset",
    "calibration_inputs",
    "fit_inputs",
    "fit_to_model",
    "load_for",
    "model_and_data",
]

CALIBRATION_ROWS = 2048


def as_dataset(
    x: Any,
    y: Any,
    *,
    validation_data: Any = None,
    target: str | None = None,
    labels: str = "auto",
    memory_limit: int | None = None,
    name: str | None = None,
) -> Dataset:
    """The data of a comparison.

    Args:
        x: Arrays; or a `Dataset`, a name or path, or data that can be passed over in place of both.
        y: Labels; None where `x` has them.
        validation_data: `(x, y)` that replace the split of each seed, or data that can be passed
            over.
        target: Column of the labels in a table.
        labels: How labels are coded, as in `load_dataset`.
        memory_limit: Bytes that data which can only be passed over may take as arrays.
        name: What to call the data.

    Returns:
        A dataset.

    Raises:
        InputError: If labels are missing, given beside data that have them, or to be coded where
            they were read before.
    """  # noqa: DOC501, DOC502 - ruff does not see through the helpers
    is_named = isinstance(x, str) or hasattr(x, "__fspath__")
    source = find_source(x)
    has_labels = is_named or isinstance(x, Dataset) or source is not None
    if has_labels != (y is None):
        raise _beside(x, is_named=is_named) if has_labels else _missing(x)
    if labels != "auto" and has_labels and not (is_named and validation_data is None):
        raise _coded_before(x, labels, is_named=is_named)
    if source is not None:
        return from_source(
            source, validation_data=validation_data, memory_limit=memory_limit, name=name
        )
    validation, notes = validation_arrays(validation_data, memory_limit)
    if has_labels:
        dataset = load_dataset(x, target=target, labels=labels) if is_named else x
        dataset = dataset if validation is None else _with_validation(dataset, validation)
    else:
        dataset = from_arrays(x, y, validation_data=validation, labels=labels)
    return replace(dataset, name=name or dataset.name, notes=(*dataset.notes, *notes))


def _beside(x: Any, *, is_named: bool) -> InputError:
    return InputError(
        f"labels beside {'the name of a dataset' if is_named else 'data that have them'}",
        received=f"x as a {'name' if is_named else type(x).__name__} and y as well",
        expected="arrays for both, or a dataset alone",
    )


def _coded_before(x: Any, labels: str, *, is_named: bool) -> InputError:
    return InputError(
        "labels are coded where the data are read",
        received=f"labels {labels!r} for "
        + (f"{str(x)!r} beside validation data" if is_named else f"a {type(x).__name__}"),
        expected="labels 'auto', or arrays for x and y",
        hint="load_dataset and normcraft.data.from_arrays take labels as well",
    )


def _missing(x: Any) -> InputError:
    return InputError(
        "labels are missing",
        received=f"x ({type(x).__name__}) alone",
        expected="compare(model, x, y), or in place of x the name of a dataset, or batches of "
        "(x, y): a tf.data.Dataset, PyTorch loader, PyDataset, or function that makes a generator",
    )


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
    if fitted.stream is None and tells_classes(model, fitted):
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
        rescale: `"auto"` scales integer images to [0, 1] where the model does not scale its inputs
            itself, `"none"` leaves them raw.

    Returns:
        The dataset, with a note for everything that was done.
    """
    return fit_labels(fit_inputs(dataset, model, rescale=rescale), model)


def fit_inputs(dataset: Dataset, model: keras.Model, *, rescale: str = "auto") -> Dataset:
    """Brings inputs alone into the shape and scale that a model takes.

    Args:
        dataset: The data.
        model: A model; several inputs are taken as they are.
        rescale: As `fit_to_model` takes it.

    Returns:
        The dataset, with a note for everything that was done.
    """
    graph = LayerGraph.read(model)
    if len(graph.inputs) != 1 or not isinstance(dataset.x_train, np.ndarray):
        return dataset
    entry = graph.inputs[0]
    return prepare(
        dataset,
        tuple(entry.shape[1:]),
        rescale=rescale,
        input_dtype=entry.dtype,
        scaled_by=scaling_site(graph),
    )


def calibration_inputs(dataset: Dataset) -> Any:
    """Inputs that a calibration uses: at most 2,048 rows, spread evenly over the training data.

    Returns:
        Arrays in the structure of the dataset's inputs.
    """
    rows = min(dataset.num_samples, CALIBRATION_ROWS)
    return take(dataset.x_train, np.linspace(0, dataset.num_samples - 1, rows).astype(int))
