"""Charts as SVG: pygal graphs that draw fast and run no script, of a page or standing alone."""

from inapp_monitor.web.charts.heatmap import heatmap
from inapp_monitor.web.charts.line import line_chart
from inapp_monitor.web.charts.scatter import Kind, Point, scatter
from inapp_monitor.web.charts.sparkline import sparkline
from inapp_monitor.web.charts.spec import ChartOptions, ChartSeries, Marker, Shape

__all__ = [
    "ChartOptions",
    "ChartSeries",
    "Kind",
    "Marker",
    "Point",
    "Shape",
    "heatmap",
    "line_chart",
    "scatter",
    "sparkline",
]
