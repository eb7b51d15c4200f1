"""Datasets by name, path or object; what a model needs done to them; splits; the order of batches.

A dataset by name is one file here, `foo.py`, with `load()`, `SHAPE`, `CLASSES` and `LICENCE`; files
that start with an underscore are the machinery.
"""

from normcraft.data._arrays import as_arrays, from_arrays
from normcraft.data._batches import batches_of, join, rebatched
from normcraft.data._checks import check_array
from normcraft.data._class_notes import class_notes
from normcraft.data._dataset import Array, Arrays, Dataset, leaves, map_arrays
from normcraft.data._from_source import from_source, validation_arrays
from normcraft.data._labels import class_ids, mapping_text
from normcraft.data._load import load_dataset
from normcraft.data._order import batch_order
from normcraft.data._prepare import prepare
from normcraft.data._source import Source, find_source
from normcraft.data._split import split, take
from normcraft.data._stream import Stream

__all__ = [
    "Array",
    "Arrays",
    "Dataset",
    "Source",
    "Stream",
    "as_arrays",
    "batch_order",
    "batches_of",
    "check_array",
    "class_ids",
    "class_notes",
    "find_source",
    "from_arrays",
    "from_source",
    "join",
    "leaves",
    "load_dataset",
    "map_arrays",
    "mapping_text",
    "prepare",
    "rebatched",
    "split",
    "take",
    "validation_arrays",
]
