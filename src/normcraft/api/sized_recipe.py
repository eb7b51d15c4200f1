"""A recipe in the sizes that a dataset asks for."""

from __future__ import annotations

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.data import Array, Dataset, mapping_text
from normcraft.recipes import load_recipe, recipe_sizes, recipes_for

__all__ = ["build_recipe_for"]


def build_recipe_for(name: str, dataset: Dataset) -> keras.Model:
    """A recipe in the sizes of a dataset with one array of inputs.

    Args:
        name: Name of the recipe.
        dataset: The data.

    Returns:
        The compiled model.

    Raises:
        InputError: The recipe is for other inputs or targets, or the class labels leave gaps.
    """
    if not isinstance(dataset.x_train, np.ndarray) or not isinstance(dataset.y_train, np.ndarray):
        raise InputError(
            f"the recipe {name!r} has one input and one output",
            received="several arrays of inputs or targets",
            expected="one array of each",
        )
    y, shape = dataset.y_train, dataset.x_train.shape[1:]
    if name not in recipes_for(shape):
        raise InputError(
            f"the recipe {name!r} does not take such data",
            received=f"a table of {shape[0]} columns" if len(shape) == 1 else f"samples of {shape}",
            expected="images" if len(shape) == 1 else "samples of another shape",
            hint=_instead(recipes_for(shape)),
        )
    if dataset.num_classes is not None or y.dtype.kind in "iub":
        _check_gaps(dataset, y)
        return load_recipe(name)(**recipe_sizes(name, shape, dataset.num_classes))
    if name not in recipes_for(shape, numbers=True):
        raise InputError(
            f"the recipe {name!r} tells classes apart, and the targets are numbers",
            received=f"{y.dtype} of shape {y.shape}",
            expected="class labels",
            hint=f"{_instead(recipes_for(shape, numbers=True))}; --labels map (labels='map') makes "
            "a class of every value",
        )
    num_targets = 1 if y.ndim == 1 else int(np.prod(y.shape[1:]))
    return load_recipe(name)(**recipe_sizes(name, shape, None, num_targets))


def _instead(names: tuple[str, ...]) -> str:
    if not names:
        return "give a model of your own"
    return f"recipes for it: {', '.join(names)} (normcraft compare {names[-1]} ...)"


def _check_gaps(dataset: Dataset, y: Array) -> None:
    # A recipe has one unit a class: labels from 0 without gaps, and none that training lacks.
    if y.ndim > 1 and y.shape[1:] != (1,):
        return
    values = np.unique(y)
    known = max(len(values), len(dataset.class_names or ()))
    if len(values) > 1 and values[0] >= 0 and values[-1] < known:
        return
    if len(values) == 1:
        raise InputError(
            "there is one class alone", received=f"the label {values[0]} in every sample"
        )
    raise InputError(
        "the class labels leave gaps",
        received=f"{len(values)} labels from {values[0]} to {values[-1]}",
        expected=f"0 to {len(values) - 1}",
        hint=f"--labels map (labels='map') numbers them: {mapping_text(values.tolist())}; "
        "--labels numbers predicts them as numbers",
    )
