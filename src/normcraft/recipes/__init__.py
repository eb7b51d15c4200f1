"""The models of the seeds in today's Keras, and how a MODEL argument becomes a model.

A recipe is one file here, `foo.py`, with `build(placement="as_seed", **sizes) -> keras.Model`, and
`recipes.foo` is that function. Files that start with an underscore are the machinery.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from normcraft.recipes._conv_block import conv_block
    from normcraft.recipes._load import load_model
    from normcraft.recipes._names import (
        load_recipe,
        recipe_names,
        recipe_sizes,
        recipes_for,
    )
    from normcraft.recipes._reference import Reference

__all__ = [
    "Reference",
    "conv_block",
    "load_model",
    "load_recipe",
    "recipe_names",
    "recipe_sizes",
    "recipes_for",
]

_HOMES = {
    "Reference": "_reference",
    "conv_block": "_conv_block",
    "load_model": "_load",
    "load_recipe": "_names",
    "recipe_names": "_names",
    "recipe_sizes": "_names",
    "recipes_for": "_names",
}


class _Recipes(ModuleType):
    # Importing `normcraft.recipes.foo` makes Python set the attribute `foo` to that module; here
    # the attribute is always the recipe's function.
    def __setattr__(self, name: str, value: Any) -> None:
        is_recipe = isinstance(value, ModuleType) and not name.startswith("_")
        super().__setattr__(name, value.build if is_recipe else value)


sys.modules[__name__].__class__ = _Recipes


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    from normcraft.recipes._names import load_recipe, recipe_names

    if name not in recipe_names():
        known = ", ".join(recipe_names())
        raise AttributeError(f"module {__name__!r} has no recipe {name!r}; there are {known}")
    return load_recipe(name)


def __dir__() -> list[str]:
    from normcraft.recipes._names import recipe_names

    return sorted({*globals(), *__all__, *recipe_names()})
