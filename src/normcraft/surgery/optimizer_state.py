"""What an optimizer remembers of the variables that survive an edit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeAlias

import keras

__all__ = ["copy_optimizer_state"]

State: TypeAlias = dict[str, keras.Variable]


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
    state, counters = _state(model)
    new_state, new_counters = _state(copy)
    pairs = [(counters[name], new_counters.get(name)) for name in counters]
    for old, new in survivors:
        known = new_state.get(id(new), {})
        pairs += [(slot, known.get(role)) for role, slot in state.get(id(old), {}).items()]
    for variable, twin in pairs:
        if twin is not None and twin.shape == variable.shape:
            twin.assign(keras.ops.convert_to_numpy(variable))


def _state(model: keras.Model) -> tuple[dict[int, State], State]:
    """What an optimizer keeps.

    Returns:
        Of each variable, by its `id`, what is kept of it by role (`"_momentum"`); and the rest by
        name.
    """
    owners: defaultdict[str, list[int]] = defaultdict(list)
    for variable in model.variables:
        owners[str(variable.path).replace("/", "_")].append(id(variable))
    seen: Counter[str] = Counter()
    slots: dict[int, State] = {}
    counters: State = {}
    for slot in model.optimizer.variables:
        owner = _owner(slot.name, owners)
        if owner is None:
            counters[slot.name] = slot
            continue
        # Paths need not be unique; slots then follow in the order of their variables.
        number, seen[slot.name] = seen[slot.name], seen[slot.name] + 1
        if number < len(owners[owner]):
            role = slot.name.removeprefix(owner)
            slots.setdefault(owners[owner][number], {})[role] = slot
    return slots, counters


def _owner(name: str, owners: Mapping[str, object]) -> str | None:
    # The variable that a state is about: the longest of the names that it begins with.
    stem = name
    while "_" in stem:
        stem = stem.rpartition("_")[0]
        if stem in owners:
            return stem
    return None
