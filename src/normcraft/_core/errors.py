"""The errors that normcraft raises: one clear line, also as fields for `--json`."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = [
    "EquivalenceError",
    "InputError",
    "MissingDependencyError",
    "MissingFileError",
    "NormcraftError",
    "OutputError",
    "OverwriteError",
    "StoreError",
    "SurgeryError",
    "WorkerError",
    "about",
    "did_you_mean",
    "too_deep",
    "unknown_name",
]

LONGEST = 500  # characters of a message, and of what was received


class NormcraftError(Exception):
    """Base of all normcraft errors; reads as one line: what happened, and how to mend it.

    Args:
        message: What is wrong, with the name of the thing that is.
        received: What was received.
        expected: What was expected instead.
        hint: How to mend it.

    Example:
        >>> print(NormcraftError("no seeds", received="0", expected="1 or more"))
        no seeds: received 0, expected 1 or more
    """

    def __init__(
        self,
        message: str,
        *,
        received: str | None = None,
        expected: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.message = _short(message)
        self.received = received and _short(received)
        self.expected = expected
        self.hint = hint
        super().__init__(self._line())

    def _line(self) -> str:
        facts = [
            f"{label} {value}"
            for label, value in (("received", self.received), ("expected", self.expected))
            if value
        ]
        line = self.message + (f": {', '.join(facts)}" if facts else "")
        return " ".join((line + (f"; {self.hint}" if self.hint else "")).split())

    def __str__(self) -> str:
        return self._line()

    def document(self) -> dict[str, dict[str, str | None]]:
        """The error as the document that `--json` prints.

        Returns:
            `{"error": {"message", "received", "expected", "hint"}}`.
        """
        return {
            "error": {
                "message": self.message,
                "received": self.received,
                "expected": self.expected,
                "hint": self.hint,
            }
        }


class InputError(NormcraftError, ValueError):
    """An argument, a name, a model or data that cannot be used as given."""


class MissingFileError(NormcraftError, FileNotFoundError):
    """A file that should be read does not exist."""


class OutputError(NormcraftError, OSError):
    """A file that cannot be written."""


class OverwriteError(NormcraftError, FileExistsError):
    """A file stands where one is to be written, and overwriting was not asked for."""


class MissingDependencyError(NormcraftError, ImportError):
    """A package that this job needs is not installed; the hint is the install line."""


class SurgeryError(NormcraftError, ValueError):
    """A model that cannot be edited as asked."""


class EquivalenceError(SurgeryError):
    """An edited model that does not compute what the original computes."""


class StoreError(NormcraftError, RuntimeError):
    """A store of records that cannot be read, written or continued."""


class WorkerError(NormcraftError, RuntimeError):
    """Worker processes that cannot be started."""


def _short(text: str) -> str:
    # A name may be a whole file by mistake: its beginning and end tell.
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 80]} … {text[-80:]}"


def too_deep(model: str) -> SurgeryError:
    """The error for a model on which Keras, or the reading of it, runs out of stack.

    Args:
        model: Name of the model.

    Returns:
        A `SurgeryError` that says how to raise the limit.

    Example:
        >>> too_deep("tower").message
        "model 'tower' is deeper than Keras can build"
    """
    return SurgeryError(
        f"model {model!r} is deeper than Keras can build",
        received="too many layers one behind the other or one inside the other",
        expected="a chain that fits Python's recursion limit",
        hint="Keras builds models by recursion; raise the limit by sys.setrecursionlimit",
    )


def unknown_name(what: str, received: object, valid: Iterable[str]) -> InputError:
    """The error for a name that is not in a list, with the nearest one that is.

    Args:
        what: What kind of name it is ("placement").
        received: The name as given.
        valid: All names that would have been accepted.

    Returns:
        An `InputError` that lists the valid names.

    Example:
        >>> print(unknown_name("kind", "bach", ["batch", "layer"]))
        unknown kind: received 'bach', expected one of batch, layer; did you mean 'batch'?
    """
    names = sorted(valid)
    return InputError(
        f"unknown {what}",
        received=repr(received),
        expected=f"one of {', '.join(names)}",
        hint=did_you_mean(received, names),
    )


def did_you_mean(received: object, valid: Iterable[str]) -> str | None:
    """The hint that proposes the nearest valid name.

    Args:
        received: The name as given.
        valid: All names that would have been accepted.

    Returns:
        None where none is near.

    Example:
        >>> did_you_mean("bach", ["batch", "layer"])
        "did you mean 'batch'?"
    """
    near = get_close_matches(str(received)[:LONGEST], valid, n=1)
    return f"did you mean {near[0]!r}?" if near else None


def about(subject: str, error: NormcraftError) -> InputError:
    """The same error with what it is about in front.

    Args:
        subject: For example the path of the file that was read.
        error: What was raised while it was.

    Returns:
        An `InputError`.

    Example:
        >>> print(about("'a.csv'", InputError("the table is empty")))
        'a.csv': the table is empty
    """
    return InputError(
        f"{subject}: {error.message}",
        received=error.received,
        expected=error.expected,
        hint=error.hint,
    )
