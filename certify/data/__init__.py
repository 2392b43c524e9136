"""Samples, their splits, and the register of looks at the certification split."""

from certify.data.register import look, register_path
from certify.data.sources import Samples, check_classes, load_samples, sample_digest
from certify.data.splitting import split

__all__ = ["Samples", "check_classes", "load_samples", "look", "register_path", "sample_digest", "split"]
