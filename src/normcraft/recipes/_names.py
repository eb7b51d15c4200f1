"""Recipes by name, and the sizes that make one fit a dataset."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import keras

from normcraft._core.registry import load, members

__all__ = ["load_recipe", "recipe_names", "recipe_sizes", "recipes_for"]

PACKAGE = "normcraft.recipes"


def recipe_names() -> tuple[str, ...]:
    """Names of all recipes; none of them is imported.

    Returns:
        Names in alphabetical order.

    Example:
        >>> "digits_cnn" in recipe_names()
        True
    """
    return members(PACKAGE)


def load_recipe(name: str) -> Callable[..., keras.Model]:
    """The function that builds the recipe of that name.

    Args:
        name: For example `"blog_cnn"`.

    Returns:
        `build(placement="as_seed", **sizes)`, which gives a compiled model.

    Example:
        >>> load_recipe("blog_cnn")("none").count_params()
        93322
    """
    build: Callable[..., keras.Model] = load(PACKAGE, name, what="recipe").build
    return build


def recipe_sizes(
    name: str,
    sample_shape: tuple[int, ...],
    num_classes: int | None,
    num_targets: int | None = None,
) -> dict[str, Any]:
    """The sizes with which a recipe takes certain data: `load_recipe(name)(**sizes)`.

    Args:
        name: Name of the recipe.
        sample_shape: Shape of one sample; images without a channel axis get one of length 1.
        num_classes: Number of classes; None for data without any.
        num_targets: Numbers to predict a sample; None for classes.

    Returns:
        Keyword arguments of the recipe. What the recipe has no parameter for is left out, and its
        own size stays; `recipes_for` tells which recipes take the data.

    Example:
        >>> recipe_sizes("digits_cnn", (28, 28), 10)
        {'input_shape': (28, 28, 1), 'classes': 10}
        >>> recipe_sizes("tabular_mlp", (30,), None, 1)
        {'features': 30, 'targets': 1}
    """
    parameters = signature(load_recipe(name)).parameters
    sizes: dict[str, Any] = {}
    entry = _entry(name, sample_shape)
    if entry == "input_shape":
        image = (*sample_shape, 1) if len(sample_shape) == 2 else tuple(sample_shape)
        sizes["input_shape"] = image
    elif entry is not None:
        sizes[entry] = sample_shape[0]
    if num_targets is not None and "targets" in parameters:
        sizes["targets"] = num_targets
    elif num_classes is not None:
        sizes["classes"] = num_classes
    return sizes


def recipes_for(sample_shape: tuple[int, ...], *, numbers: bool = False) -> tuple[str, ...]:
    """The recipes that take samples of a shape: tables or images.

    Args:
        sample_shape: Shape of one sample.
        numbers: Whether they shall predict numbers rather than classes.

    Returns:
        Names in alphabetical order.

    Example:
        >>> recipes_for((13,)), recipes_for((13,), numbers=True)
        (('mlp', 'tabular_mlp'), ('tabular_mlp',))
    """
    return tuple(
        name
        for name in recipe_names()
        if _entry(name, sample_shape) is not None
        and (not numbers or "targets" in signature(load_recipe(name)).parameters)
    )


def _entry(name: str, sample_shape: tuple[int, ...]) -> str | None:
    # The parameter that takes the size of a sample; None where the recipe is for other data.
    parameters = signature(load_recipe(name)).parameters
    if len(sample_shape) in {2, 3}:
        return "input_shape" if "input_shape" in parameters else None
    # A table's width is `features`, except in `mlp`, which speaks of `inputs` as the seed does.
    widths = ("features", "inputs") if len(sample_shape) == 1 else ()
    return next((width for width in widths if width in parameters), None)
