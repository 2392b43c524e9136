"""certify: what removing weights from a network can and cannot have done, in numbers that can be rechecked."""

from certify.api import (
    Batch,
    along,
    apply,
    bound,
    collect,
    describe,
    evaluate,
    fit_spectra,
    guarantee,
    issue,
    prune,
    recover,
    split,
    verify,
)

__version__ = "0.1.0"

__all__ = [
    "Batch",
    "along",
    "apply",
    "bound",
    "collect",
    "describe",
    "evaluate",
    "fit_spectra",
    "guarantee",
    "issue",
    "prune",
    "recover",
    "split",
    "verify",
]
