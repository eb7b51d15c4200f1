"""Records in, words and pictures out: terminal table, JSON, HTML, figures, Keras code."""

from normcraft.report.code import to_code
from normcraft.report.document import document
from normcraft.report.figure import curves_figure
from normcraft.report.html import render_html
from normcraft.report.table import render_text, table

__all__ = ["curves_figure", "document", "render_html", "render_text", "table", "to_code"]
