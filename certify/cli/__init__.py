"""The `certify` command. The only place that prints."""

from certify.cli.app import main

__all__ = ["main"]
