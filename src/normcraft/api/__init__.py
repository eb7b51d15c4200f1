"""The few functions that tie the rest together: compare, train_and_test, and what they return."""

from normcraft.api.compare import compare
from normcraft.api.comparison import Comparison
from normcraft.api.explain import Explained, explain
from normcraft.api.train_and_test import train_and_test

__all__ = ["Comparison", "Explained", "compare", "explain", "train_and_test"]
