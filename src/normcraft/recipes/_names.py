"""Recipes by name, and the sizes that make one fit a dataset."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import keras

from normcraft._core.registry import load, members

__all__ = ["load_recipe", "recipe_names", "recipe_sizes"]

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
    name: str, sample_shape: tuple[int, ...], num_classes: int | None
) -> dict[str, Any]:
    """The sizes with which a recipe takes certain data: `load_recipe(name)(**sizes)`.

    Args:
        name: Name of the recipe.
        sample_shape: Shape of one sample; images without a channel axis get one of length 1.
        num_classes: Number of classes; None leaves the recipe's own.

    Returns:
        Keyword arguments of the recipe. Where a table meets a recipe for images, or images one for
        tables, the recipe's own input size stays, and the data will be refused later.

    Example:
        >>> recipe_sizes("digits_cnn", (28, 28), 10)
        {'input_shape': (28, 28, 1), 'classes': 10}
        >>> recipe_sizes("mlp", (30,), 3)
        {'inputs': 30, 'classes': 3}
    """
    parameters = signature(load_recipe(name)).parameters
    image = (*sample_shape, 1) if len(sample_shape) == 2 else tuple(sample_shape)
    sizes: dict[str, Any] = {}
    if "input_shape" in parameters and len(image) == 3:
        sizes["input_shape"] = image
    # A table's width is `features`, except in `mlp`, which speaks of `inputs` as the seed does.
    width = "features" if "features" in parameters else "inputs"
    if width in parameters and len(sample_shape) == 1:
        sizes[width] = sample_shape[0]
    if num_classes is not None:
        sizes["classes"] = num_classes
    return sizes
