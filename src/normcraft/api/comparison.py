"""Comparison: a finished study with all that can be asked of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras

from normcraft._core.errors import InputError
from normcraft._core.files import write_atomically
from normcraft.records import Arm, ArmSummary, TrialRecord, Verdict
from normcraft.report.code import to_code
from normcraft.report.document import document
from normcraft.report.figure import curves_figure
from normcraft.report.html import render_html
from normcraft.report.notebook import render_notebook
from normcraft.report.table import render_text
from normcraft.studies import StudyResult

__all__ = ["Comparison"]


class Comparison:
    """What `compare` gives: the verdict, the table, the best model, its code and the report.

    Args:
        result: The study's result.

    Example:
        See `compare`.
    """

    def __init__(self, result: StudyResult) -> None:
        self._result = result
        self.summary = result.summary

    @property
    def verdict(self) -> Verdict:
        """The verdict; prints as its sentence."""
        return self.summary.verdict

    @property
    def arms(self) -> tuple[ArmSummary, ...]:
        """The table: one line an arm, the baseline first."""
        return self.summary.arms

    @property
    def records(self) -> tuple[TrialRecord, ...]:
        """All trials."""
        return self._result.records

    @property
    def best(self) -> str | None:
        """Name of the winner, else of the arm with the best mean; None where every trial failed."""
        if self.verdict.winner is not None:
            return self.verdict.winner
        if self.summary.search is not None:
            return self.summary.search.chosen
        sign = 1 if self.summary.higher_is_better else -1
        means = {arm.name: sign * arm.mean for arm in self.arms if arm.mean is not None}
        return max(means, key=lambda name: means[name]) if means else None

    def best_model(self) -> keras.Model:
        """The winner's model (else that of the arm with the best mean) from its best seed.

        Its statistics are re-estimated. It is plain Keras, compiled, and loads without normcraft.

        Returns:
            A trained Keras model.
        """
        own = self._result.custom_objects
        return keras.saving.load_model(self.best_model_path, custom_objects=own)

    @property
    def best_model_path(self) -> Path:
        """Where the best model lies as a `.keras` file.

        Raises:
            InputError: If no trial of that arm was finished, or its file is gone.
        """
        path = self._result.best_models.get(self.best or "")
        if path is None or not path.exists():
            raise InputError(
                f"there is no trained model of {self.best or 'any arm'}",
                received="no finished trial whose model is still beside the store",
                hint="run the comparison again with another store",
            )
        return path

    def code(self) -> str:
        """The best arm as Keras code to paste.

        Returns:
            Python source that builds and compiles the model.
        """
        arm = next((arm for arm in self._result.arms if arm.name == self.best), self._arm)
        return to_code(arm.config)

    @property
    def _arm(self) -> Arm:
        return self._result.arms[0]

    def report(self, path: str | os.PathLike[str] | None = None, *, force: bool = False) -> Path:
        """Writes the report: one HTML file that needs no network.

        Args:
            path: Where; None for beside the store, where an older report is replaced.
            force: Whether to replace a file of another origin.

        Returns:
            The path.
        """
        if path is None:
            assert self.summary.store is not None
            path, force = Path(self.summary.store).with_suffix(".html"), True
        return write_atomically(path, self.html(), force=force)

    def figure(self) -> Any:
        """The validation curves, to zoom, hover and switch between score and loss.

        Returns:
            A `plotly.graph_objects.Figure`.
        """
        return curves_figure(self.summary, self._result.arms, self.records)

    def html(self) -> str:
        """The report as text.

        Returns:
            A whole HTML page.
        """
        return render_html(self.summary, self._result.arms, self.records)

    def document(self) -> dict[str, Any]:
        """The comparison as the JSON document that `normcraft compare --json` prints.

        Returns:
            A JSON-able dictionary.
        """
        return document(self.summary)

    def __repr__(self) -> str:
        return render_text(self.summary)

    def _repr_html_(self) -> str:
        """What a notebook shows: the sentence, a compact table and the curves.

        Returns:
            HTML without scripts.
        """
        return render_notebook(self.summary, self.records)
