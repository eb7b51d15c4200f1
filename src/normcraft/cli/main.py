"""The entry point: the commands, and how errors leave the program."""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from typing import Annotated

import typer

import normcraft
from normcraft._core.errors import NormcraftError
from normcraft.cli.compare import compare
from normcraft.cli.explain import explain
from normcraft.cli.fold import fold
from normcraft.cli.place import place
from normcraft.cli.recalibrate import recalibrate
from normcraft.cli.remove import remove
from normcraft.cli.replace import replace
from normcraft.cli.report import report
from normcraft.cli.verify import verify

__all__ = ["app", "main"]

INTERRUPTED = 130
BAD_INPUT = 2

app = typer.Typer(
    name="normcraft",
    help="Put normalization where it helps in a Keras model, prove that it does, ship it.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for command in (compare, place, remove, replace, fold, recalibrate, verify, explain, report):
    app.command()(command)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"normcraft {normcraft.__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_print_version, help="Print the version and stop."
        ),
    ] = False,
) -> None:
    """Put normalization where it helps in a Keras model, prove that it does, ship it."""


def main(arguments: list[str] | None = None) -> None:
    """Runs the command line and leaves the process with its exit code.

    Args:
        arguments: Arguments after the program's name; None for those of the process.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's own greetings
    given = sys.argv[1:] if arguments is None else arguments
    sys.exit(_run(given or ["--help"]))


def _run(arguments: list[str]) -> int:
    usage_error = importlib.import_module(typer.BadParameter.__module__).UsageError
    try:
        code = app(arguments, prog_name="normcraft", standalone_mode=False)
        if code == INTERRUPTED:  # what Typer makes of Ctrl-C
            print("stopped; run the same command again to continue", file=sys.stderr)
        return code if isinstance(code, int) else 0
    except usage_error as error:
        problem = NormcraftError(
            error.format_message().rstrip("."),
            received=_received(error, arguments),
            hint="see normcraft --help",
        )
        return _fail(problem, arguments)
    except NormcraftError as error:
        return _fail(error, arguments)
    except BrokenPipeError:
        sys.stderr.close()
        return BAD_INPUT
    except Exception as error:
        if isinstance(error, OSError) and error.filename is not None:
            problem = NormcraftError(
                f"{str(error.filename)!r} cannot be used", received=error.strerror
            )
            return _fail(problem, arguments)
        text = " ".join(str(error).split())[:300]
        problem = NormcraftError(
            f"unexpected {type(error).__name__}: {text}",
            hint="add --verbose for the traceback; if it is a bug of normcraft, please report it",
        )
        return _fail(problem, arguments)


def _received(error: Exception, arguments: list[str]) -> str | None:
    """The value that was given to the option that an error is about."""
    names = getattr(getattr(error, "param", None), "opts", ())
    values = [arguments[arguments.index(name) + 1 :] for name in names if name in arguments]
    return next((repr(value[0]) for value in values if value), None)


def _fail(error: NormcraftError, arguments: list[str]) -> int:
    """Says what is wrong: one line on stderr, or a document on stdout with `--json`."""
    if "--verbose" in arguments:
        traceback.print_exc()
    if "--json" in arguments:
        print(json.dumps(error.document()))
    else:
        print(f"normcraft: {_visible(str(error))}", file=sys.stderr)
    return BAD_INPUT


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


if __name__ == "__main__":
    main()
