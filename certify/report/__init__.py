"""A run folder to one self-contained HTML file. Reads records alone: no torch, no theory, no model."""

from certify.report.page import write_report

__all__ = ["write_report"]
