"""Data and builders that no command can use, with what the error has to say."""

import numpy as np

ARRAYS = {
    "wrong keys": ({"images": np.zeros((9, 4)), "y_train": np.zeros(9, int)}, "x_train"),
    "lengths": ({"x_train": np.zeros((9, 4)), "y_train": np.zeros(8, int)}, "9"),
    "nan": ({"x_train": np.full((9, 4), np.nan), "y_train": np.zeros(9, int)}, "NaN"),
    "objects": ({"x_train": np.array([[1], "a"], object), "y_train": np.zeros(2, int)}, "object"),
    "empty": ({"x_train": np.zeros((0, 4)), "y_train": np.zeros(0, int)}, "0"),
    "shape": ({"x_train": np.zeros((9, 5)), "y_train": np.zeros(9, int)}, "(4,)"),
    "strings": ({"x_train": np.zeros((9, 4)), "y_train": np.array(["cat"] * 9)}, "cat"),
}

BUILDERS = {
    "raises": ("def build():\n    raise RuntimeError('no luck')", "no luck"),
    "returns nothing": ("def build():\n    pass", "None"),
    "returns a layer": ("import keras\ndef build():\n    return keras.layers.Dense(3)", "Dense"),
    "not built": (
        "import keras\ndef build():\n    return keras.Sequential([keras.layers.Dense(3)])",
        "built",
    ),
    "takes arguments": ("def build(units):\n    pass", "units"),
    "no such function": ("def make():\n    pass", "make"),
    "syntax": ("def build(:\n", "yntax"),
}
