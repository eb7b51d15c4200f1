"""Class weights: how much the samples of each class count in the training loss."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.data import Dataset, class_ids

__all__ = [
    "BALANCED",
    "ClassWeight",
    "as_class_weight",
    "balanced_weights",
    "check_class_weight",
    "class_weight_text",
]

BALANCED = "balanced"
ClassWeight = Mapping[int, float] | str
Array = np.ndarray[Any, np.dtype[Any]]


def as_class_weight(value: Any) -> ClassWeight:
    """Class weights as a user gives them, in one form.

    Args:
        value: `"balanced"`, or a weight for each class; classes that are not named weigh 1.

    Returns:
        `"balanced"`, or plain numbers in the order of the classes.

    Raises:
        InputError: If it is neither, or a weight is negative or not finite.

    Example:
        >>> as_class_weight({1: 2.5, np.int64(0): 1})
        {0: 1.0, 1: 2.5}
    """
    if isinstance(value, str) and value == BALANCED:
        return BALANCED
    given = dict(value) if isinstance(value, Mapping) else {}
    wrong = {number: weight for number, weight in given.items() if not _is_valid(number, weight)}
    if wrong or not given:
        raise InputError(
            "bad class weight",
            received=repr(wrong or value),
            expected="balanced, or a finite weight from 0 for each class by its number",
            hint="as in --class-weight 0=1,1=2.5 (class_weight={0: 1, 1: 2.5})",
        )
    return {int(number): float(given[number]) for number in sorted(given)}


def _is_valid(number: Any, weight: Any) -> bool:
    are_numbers = isinstance(number, int | np.integer) and isinstance(weight, Real)
    return are_numbers and bool(np.isfinite(weight)) and weight >= 0


def check_class_weight(class_weight: ClassWeight, model: keras.Model, dataset: Dataset) -> None:
    """Refuses class weights that a model and its labels have no classes for.

    Args:
        class_weight: As `as_class_weight` gives it.
        model: The model.
        dataset: The data.

    Raises:
        InputError: If there are several outputs, the labels are no classes or not all at
            hand to be balanced, or a class is unknown.
    """
    y = dataset.y_train
    if not isinstance(y, np.ndarray) or len(model.outputs) > 1:
        raise InputError(
            "class weights need a model with one output",
            received=f"{len(model.outputs)} outputs" if len(model.outputs) > 1 else "nested labels",
            hint="weigh outputs against each other by compile(loss_weights=...)",
        )
    classes = class_ids(y)
    if classes is None:
        raise InputError(
            "class weights need labels that are classes",
            received=f"{y.dtype} labels of shape {y.shape}",
            expected="integers of shape (samples,), or one-hot rows",
            hint="--labels map (labels='map') makes a class of every value",
        )
    if isinstance(class_weight, str):
        _check_counted(dataset)
        return
    units = max(2, model.outputs[0].shape[-1] or 0)
    known = {*range(units), *classes.ids.tolist()}
    if unknown := sorted(set(class_weight) - known):
        raise InputError(
            "class weights name a class that there is not",
            received=", ".join(map(str, unknown)),
            expected=f"classes from {min(known)} to {max(known)}",
        )


def _check_counted(dataset: Dataset) -> None:
    if dataset.is_stream:
        raise InputError(
            "the classes of streamed data cannot be balanced, as nobody has counted them",
            received=f"class weight {BALANCED!r}",
            expected="a weight for each class",
            hint="pass Options(class_weight={0: 1, 1: 2.5})",
        )


def balanced_weights(y: Array) -> dict[int, float]:
    """Weights under which every class counts alike: n / (classes · count).

    Args:
        y: Labels that are classes.

    Returns:
        A weight for each class that there is; over the samples their mean is 1.

    Example:
        >>> balanced_weights(np.array([0, 0, 0, 1]))
        {0: 0.6666666666666666, 1: 2.0}
    """
    classes = class_ids(y)
    assert classes is not None, "checked before"
    numbers, counts = np.unique(classes.ids, return_counts=True)
    weights = len(y) / (len(numbers) * counts)
    return dict(zip(numbers.tolist(), weights.tolist(), strict=True))


def class_weight_text(class_weight: ClassWeight) -> str:
    """Class weights in words; equal ones read alike.

    Args:
        class_weight: As `as_class_weight` gives it.

    Returns:
        One line.

    Example:
        >>> class_weight_text({0: 1.0, 1: 2.5})
        '0 = 1.0, 1 = 2.5'
    """
    if isinstance(class_weight, str):
        return class_weight
    return ", ".join(f"{number} = {weight}" for number, weight in class_weight.items())
