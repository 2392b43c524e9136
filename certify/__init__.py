"""certify: what removing weights from a network can and cannot have done, in numbers that can be rechecked."""

__version__ = "0.1.0"
