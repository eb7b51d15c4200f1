"""What should be known about the classes of a dataset before its figures are read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from normcraft.data._dataset import Dataset, leaves
from normcraft.data._labels import first_class_ids, listing
from normcraft.data._split import split

__all__ = ["class_notes"]

IMBALANCE = 10
FEW_VALIDATED = 30


def class_notes(dataset: Dataset) -> tuple[str, ...]:
    """Remarks on empty, single-sample and imbalanced classes, and on a small validation part.

    Args:
        dataset: The data.

    Returns:
        One line each; none for targets that are no classes.

    Example:
        >>> labels = np.array([0] * 50 + [2])
        >>> class_notes(Dataset("tiny", np.zeros((51, 2)), labels))[0]
        'no training sample has class 1'
    """
    classes = first_class_ids(leaves(dataset.y_train).values())
    if classes is None or dataset.num_classes is None:
        return ()
    names: tuple[object, ...] = dataset.class_names or (*range(dataset.num_classes),)
    counts = np.bincount(classes.ids, minlength=len(names))
    notes = [*_rare(counts, names, dataset.x_validation is None), *_imbalance(counts, names)]
    if dataset.x_validation is None and dataset.num_samples > 1:
        validated = len(split(dataset.y_train, seed=0)[1])
        if validated < FEW_VALIDATED:
            notes.append(f"each seed validates on {validated} of {dataset.num_samples} samples")
    return tuple(notes)


def _rare(
    counts: npt.NDArray[np.int64], names: tuple[object, ...], is_split: bool
) -> Iterator[str]:
    empty = [names[index] for index in np.flatnonzero(counts == 0)]
    if empty:
        yield f"no training sample has class {listing(empty)}"
    single = [names[index] for index in np.flatnonzero(counts == 1)]
    if not single or not is_split:
        return
    if 2 * len(single) > counts.sum():
        yield "most samples are alone in their class: each seed's split is not stratified"
    else:
        yield f"one sample alone has class {listing(single)}: it is trained on, never validated"


def _imbalance(counts: npt.NDArray[np.int64], names: tuple[object, ...]) -> Iterator[str]:
    present = np.flatnonzero(counts)
    most, least = present[counts[present].argmax()], present[counts[present].argmin()]
    if counts[most] >= IMBALANCE * counts[least]:
        yield (
            f"classes are imbalanced: {counts[most]:,} samples of {listing([names[most]])}, "
            f"{counts[least]:,} of {listing([names[least]])}; "
            f"always answering the first is right in {counts[most] / counts.sum():.1%}"
        )
