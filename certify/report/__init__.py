"""A run folder to one self-contained HTML file. Reads records alone: no torch, no theory, no model."""

from certify.report.page import write_ladder, write_report

__all__ = ["write_ladder", "write_report"]
