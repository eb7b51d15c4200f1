"""normcraft: put normalization where it helps in a Keras model, prove that it does, ship it.

Importing this loads neither Keras nor a backend; the names below are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from normcraft._core.backend import choose_backend, require_backend

if TYPE_CHECKING:
    from normcraft import callbacks, layers, recipes
    from normcraft.api.compare import compare
    from normcraft.api.comparison import Comparison
    from normcraft.api.explain import Explained, explain
    from normcraft.api.train_and_test import train_and_test
    from normcraft.data import load_dataset
    from normcraft.graph import LayerGraph
    from normcraft.placements import Placement
    from normcraft.recipes import load_model
    from normcraft.records import TrialRecord, TrialSpec
    from normcraft.studies import Budget, Grid, Options, Study
    from normcraft.surgery import (
        EditResult,
        Equivalence,
        fold_batch_normalization,
        insert_normalization,
        move_normalization,
        recalibrate,
        remove_normalization,
        replace_normalization,
        swap_activation,
        verify_equivalence,
    )

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "Comparison",
    "EditResult",
    "Equivalence",
    "Explained",
    "Grid",
    "LayerGraph",
    "Options",
    "Placement",
    "Study",
    "TrialRecord",
    "TrialSpec",
    "callbacks",
    "compare",
    "explain",
    "fold_batch_normalization",
    "insert_normalization",
    "layers",
    "load_dataset",
    "load_model",
    "move_normalization",
    "recalibrate",
    "recipes",
    "remove_normalization",
    "replace_normalization",
    "swap_activation",
    "train_and_test",
    "verify_equivalence",
]

_HOMES = {
    "Budget": "studies",
    "Comparison": "api",
    "EditResult": "surgery",
    "Equivalence": "surgery",
    "Explained": "api",
    "Grid": "studies",
    "LayerGraph": "graph",
    "Options": "studies",
    "Placement": "placements",
    "Study": "studies",
    "TrialRecord": "records",
    "TrialSpec": "records",
    "compare": "api",
    "explain": "api",
    "fold_batch_normalization": "surgery",
    "insert_normalization": "surgery",
    "load_dataset": "data",
    "load_model": "recipes",
    "move_normalization": "surgery",
    "recalibrate": "surgery",
    "remove_normalization": "surgery",
    "replace_normalization": "surgery",
    "swap_activation": "surgery",
    "train_and_test": "api",
    "verify_equivalence": "surgery",
}

choose_backend()


def __getattr__(name: str) -> Any:
    if name in {"callbacks", "layers", "recipes"}:
        require_backend()
        return import_module(f"normcraft.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'normcraft' has no attribute {name!r}")
    if name not in {"TrialRecord", "TrialSpec"}:
        require_backend()
    return getattr(import_module(f"normcraft.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
