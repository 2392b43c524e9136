"""The verbs, their exit codes, and the one place where an error becomes a sentence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from rich.console import Console

from certify.cli import canary, inspect, jobs, macs, ship, speed
from certify.records import CertifyError

app = typer.Typer(
    name="certify",
    help="Says in numbers that can be rechecked what removing weights from a network can and cannot have done.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (
    jobs.run,
    inspect.describe,
    macs.macs,
    jobs.spectra,
    jobs.prune,
    jobs.bound,
    jobs.recover,
    jobs.guarantee,
    jobs.issue,
    jobs.compare,
    inspect.verify,
    inspect.size,
    inspect.report,
    ship.export,
    speed.speed,
    ship.card,
    ship.diff,
    canary.canary,
):
    app.command()(verb)

# typer carries its own copy of click or uses the installed one, by version; its exceptions are reached through its own names.
ClickException: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 a requirement fails, 2 usage, 3 refused input or broken integrity."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    try:
        code = app(args=arguments, standalone_mode=False)
    except CertifyError as error:
        errors.print(f"certify: {error}")
        sys.exit(error.exit_code)
    except ClickException as error:
        errors.print(f"certify: {error.format_message()}" if error.format_message() else "")
        sys.exit(2)
    except (typer.Abort, KeyboardInterrupt):
        errors.print("certify: stopped; the same command goes on from here")
        sys.exit(130)
    except OSError as error:
        errors.print(f"certify: {error.filename or 'file system'}: {error.strerror or error}")
        sys.exit(3)
    sys.exit(code if isinstance(code, int) else 0)
