"""The writers of series, one for each `format` of the render API. No request, no query."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from inapp_monitor.web.graphite.formats import (
    binary,
    document,
    picture,
    points,
    text,
)
from inapp_monitor.web.graphite.formats.pieces import Writer

if TYPE_CHECKING:
    from inapp_monitor.query.series import Series
    from inapp_monitor.web.graphite.formats.options import Options


class Format(NamedTuple):
    """A writer, its content type, and whether `maxDataPoints` applies."""

    pieces: Writer
    content_type: str
    fits: bool = False

    def write(self, series_list: Sequence[Series], options: Options) -> bytes:
        """The whole answer, for those of some pages or lines."""
        return b"".join(self.pieces(series_list, options))


FORMATS: dict[str, Format] = {
    "json": Format(points.write_json, "application/json", fits=True),
    "rickshaw": Format(points.write_rickshaw, "application/json"),
    "dygraph": Format(points.write_dygraph, "application/json"),
    "csv": Format(text.write_csv, "text/csv; charset=utf-8"),
    "raw": Format(text.write_raw, "text/plain; charset=utf-8"),
    "pickle": Format(binary.write_pickle, "application/pickle"),
    "msgpack": Format(binary.write_msgpack, "application/x-msgpack"),
    "svg": Format(picture.write_svg, "image/svg+xml; charset=utf-8"),
    "html": Format(document.write_html, "text/html; charset=utf-8", fits=True),
    "xml": Format(document.write_xml, "application/xml; charset=utf-8", fits=True),
}
