"""The call that the report tells: it says again what was said."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from normcraft.api.call import call_text
from normcraft.studies import Budget, Grid, Options


def compare(model="digits_cnn", x="digits", y=None, *, seeds=None, grid=None, verbose=True):
    """A function with the kinds of arguments that normcraft's have."""


def again(text, **scope):
    """The arguments that running the text calls `compare` with."""
    found = {}

    def recorder(model="digits_cnn", x="digits", y=None, **named):
        found.update(model=model, x=x, y=y, **named)

    nc = SimpleNamespace(compare=recorder, Grid=Grid, Budget=Budget, Options=Options)
    exec(text.replace("import normcraft as nc", ""), {"nc": nc} | scope)
    return found


plain = st.none() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    plain,
    lambda each: (
        st.lists(each)
        | st.lists(each).map(tuple)
        | st.dictionaries(st.integers() | st.text(), each)
    ),
)


@given(model=values, x=values, y=values, seeds=values)
def test_running_the_text_passes_the_same_arguments(model, x, y, seeds):
    given = {"model": model, "x": x, "y": y, "seeds": seeds, "grid": None, "verbose": True}
    found = again(call_text(compare, given))
    assert found["model"] == model
    assert found["x"] == x
    assert found["y"] == y
    assert found.get("seeds") == seeds


def test_what_no_literal_says_is_named():
    model, x = object(), {"a": np.zeros(3)}
    text = call_text(
        compare, {"model": model, "x": x, "y": "y", "seeds": 3, "grid": None, "verbose": False}
    )
    assert text.splitlines()[1:] == [
        "# model, x: the same objects as in this run.",
        "r = nc.compare(model, x, 'y', seeds=3)",
    ]
    assert again(text, model=model, x=x)["model"] is model


def test_settings_numbers_and_paths_are_written_out():
    grid = Grid(learning_rates=(0.01, 0.1), kinds=("layer",))
    given = {
        "model": Path("a b.keras"), "x": "digits", "y": None, "seeds": [np.int64(1), 2],
        "grid": grid, "verbose": True,
    }  # fmt: skip
    text = call_text(compare, given)
    assert "nc.Grid(kinds=('layer',), learning_rates=(0.01, 0.1))" in text
    found = again(text)
    assert (found["model"], found["seeds"], found["grid"]) == ("a b.keras", [1, 2], grid)
    assert "x" not in text.split("compare")[1]
