"""The measurement report: one HTML file with maps, figures, intervals and reasons, for people."""

from apps.report.page import ReportInputs, render_report

__all__ = ["ReportInputs", "render_report"]
