"""What an optimizer remembers of the variables that survive an edit."""

from __future__ import annotations

from collections.abc import Iterable

import keras

__all__ = ["copy_optimizer_state"]


def copy_optimizer_state(
    model: keras.Model,
    copy: keras.Model,
    survivors: Iterable[tuple[keras.Variable, keras.Variable]],
) -> None:
    """Gives the copy's optimizer the state that the original's has.

    Counters are copied, and of each variable that survives its moments, averages and the like.
    Keras names these after the variable: `dense/kernel` has `dense_kernel_momentum`. New variables
    begin with a fresh state. Does nothing where the original has no optimizer state.

    Args:
        model: The original.
        copy: The copy, compiled.
        survivors: `(old, new)` variables.
    """
    if getattr(model, "optimizer", None) is None or not model.optimizer.built:
        return
    names = {_prefix(old): _prefix(new) for old, new in survivors}
    held = {_prefix(variable) for variable in model.variables}
    new_state = {variable.name: variable for variable in copy.optimizer.variables}
    for variable in model.optimizer.variables:
        owner = _owner(variable.name, held)
        if owner is None:
            name = variable.name
        elif owner in names:
            name = names[owner] + variable.name.removeprefix(owner)
        else:
            continue
        twin = new_state.get(name)
        if twin is not None and twin.shape == variable.shape:
            twin.assign(keras.ops.convert_to_numpy(variable))


def _prefix(variable: keras.Variable) -> str:
    return str(variable.path).replace("/", "_")


def _owner(name: str, held: set[str]) -> str | None:
    # The variable that a state is about: the longest of the names that it begins with.
    stem = name
    while "_" in stem:
        stem = stem.rpartition("_")[0]
        if stem in held:
            return stem
    return None
