"""The winner as Keras code to paste."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from normcraft._core.errors import InputError
from normcraft.report.code.classes import InexpressibleError
from normcraft.report.code.writer import Writer
from normcraft.report.escape import visible

__all__ = ["to_code"]


def to_code(config: Mapping[str, Any] | str) -> str:
    """Keras code that builds the described model anew, to paste into a notebook or a script.

    Arguments that equal Keras's defaults are left out; layers keep their names. Everything is
    checked while it is written: each layer is built from the arguments about to be printed and must
    describe itself as the original did. A model that plain calls cannot say (an operation that
    `keras.ops` does not make, a class whose arguments differ from its configuration) is written as
    its description, for `keras.saving.deserialize_keras_object`, with a comment that says why. Text
    from the description only ever stands inside string literals.

    Args:
        config: What `keras.saving.serialize_keras_object(model)` gives, or the same as JSON text.

    Returns:
        Python code that assigns `model`, compiled where the original was.

    Raises:
        InputError: It describes no Keras object, or it holds a Python lambda.

    Example:
        >>> import keras
        >>> layers = [keras.Input((4,), name="row"), keras.layers.Dense(2, name="score")]
        >>> model = keras.Sequential(layers, name="scorer")
        >>> print(to_code(keras.saving.serialize_keras_object(model)))
        import keras
        from keras import layers
        <BLANKLINE>
        model = keras.Sequential(
            [
                keras.Input(shape=(4,), name="row"),
                layers.Dense(2, name="score"),
            ],
            name="scorer",
        )
        <BLANKLINE>
    """
    description = _parsed(config)
    if _holds_lambda(description):
        raise InputError(
            "this model holds a Python lambda, whose source its description does not have",
            hint="use keras.ops, or a layer registered with keras.saving",
        )
    with _usual_settings():
        return _written(description)


def _parsed(config: Mapping[str, Any] | str) -> dict[str, Any]:
    try:
        description = json.loads(config if isinstance(config, str) else json.dumps(config))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(**_undescribed(config)) from error
    if not isinstance(description, dict) or not {"class_name", "config"} <= description.keys():
        raise InputError(**_undescribed(config))
    return description


def _written(description: dict[str, Any]) -> str:
    try:
        return Writer().code(description)
    except InexpressibleError as reason:
        return _written_out(description, str(reason))
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise InputError(**_undescribed(description)) from error


def _undescribed(config: object) -> dict[str, str]:
    return {
        "message": "this describes no Keras model",
        "received": visible(repr(config)[:60]),
        "expected": "what keras.saving.serialize_keras_object(model) gives, or its JSON text",
    }


def _holds_lambda(tree: Any) -> bool:
    if isinstance(tree, dict):
        return tree.get("class_name") == "__lambda__" or any(map(_holds_lambda, tree.values()))
    return isinstance(tree, list) and any(map(_holds_lambda, tree))


@contextmanager
def _usual_settings() -> Iterator[None]:
    """Keras's settings as shipped: what is left out then means the same wherever it is pasted."""
    import keras

    policy, layout = keras.config.dtype_policy(), keras.config.image_data_format()
    state = random.getstate()  # initializers without a seed draw one from here
    keras.config.set_dtype_policy("float32")
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        random.setstate(state)
        keras.config.set_image_data_format(layout)
        keras.config.set_dtype_policy(policy)


def _written_out(description: dict[str, Any], reason: str) -> str:
    text = json.dumps(description)
    return (
        "import json\n\nimport keras\n\n"
        f"# Written as Keras's own description, because {reason}.\n"
        f"model = keras.saving.deserialize_keras_object(json.loads({text!r}))\n"
    )
