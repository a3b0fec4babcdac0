"""Links that open a frame's line in the developer's editor."""

from __future__ import annotations

import pytest

from inapp_monitor.ground import config, editors
from inapp_monitor.ground.exceptions import ConfigError


@pytest.mark.parametrize(
    ("editor", "path", "wanted"),
    [
        ("vscode", "/srv/shop/views.py", "vscode://file/srv/shop/views.py:12"),
        ("pycharm", "/srv/shop/views.py", "pycharm://open?file=/srv/shop/views.py&line=12"),
        ("vscode", '/srv/a b&"<x>#?.py', "vscode://file/srv/a%20b%26%22%3Cx%3E%23%3F.py:12"),
        ("my://o?{line}={path}", "/srv/{line}.py", "my://o?12=/srv/%7Bline%7D.py"),
        ("vscode", "views.py", ""),
        ("vscode", "<string>", ""),
        ("vscode", "https://shop.example/app.js", ""),
        ("", "/srv/shop/views.py", ""),
    ],
)
def test_a_link_names_an_absolute_path_and_a_line(editor: str, path: str, wanted: str) -> None:
    """What is special in an address is escaped; what is no path of this machine has no link."""
    assert editors.link(editor, path, 12) == wanted


@pytest.mark.parametrize("bad", ["vs code", "javascript:alert('{path}')", "my://open", 3])
def test_an_unknown_editor_is_an_error_that_names_the_known_ones(bad: object) -> None:
    """A scheme that a browser would run is refused as well."""
    with pytest.raises(ConfigError, match=r"'editor'.*one of vscode, .*pycharm"):
        config.load({"editor": bad}, environ={})
