"""The version of Keras, for tests of what only newer ones have."""

import keras

KERAS = tuple(int(part) for part in keras.__version__.split(".")[:2])
