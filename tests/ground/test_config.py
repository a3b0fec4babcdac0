"""Settings come from keywords, a file, the environment and defaults, and are checked by name."""

from pathlib import Path

import pytest

from inapp_monitor.ground import config, setting_values
from inapp_monitor.ground.exceptions import ConfigError
from tests.each import each


def settings_of(tmp_path: Path, text: str, **keywords: object) -> config.Settings:
    file = tmp_path / "monitor.toml"
    file.write_text(text, "utf-8")
    return config.load(keywords, file, {}).settings


def test_defaults_need_nothing() -> None:
    """Without any source every setting has its default."""
    loaded = config.load({}, None, {})
    expected = config.Settings(data_dir=Path.cwd() / ".inapp_monitor")
    assert loaded.settings == expected
    assert set(loaded.sources.values()) == {"default"}


def test_keywords_win_over_the_file_and_the_file_over_the_environment(tmp_path: Path) -> None:
    """And each setting says where it came from."""
    file = tmp_path / "monitor.toml"
    file.write_text("[inapp_monitor]\nmax_routes = 7\nflush_interval_s = '500ms'\n")
    environ = {
        "INAPP_MONITOR_MAX_ROUTES": "5",
        "INAPP_MONITOR_FLUSH_INTERVAL_S": "9",
        "INAPP_MONITOR_DISK_BUDGET": "64MB",
        "PATH": "/bin",
    }
    loaded = config.load({"max_routes": 9, "token": None}, file, environ)
    assert loaded.settings.max_routes == 9
    assert loaded.settings.flush_interval_s == 0.5
    assert loaded.settings.disk_budget == 64 * 2**20
    sources = loaded.sources
    assert sources["max_routes"] == "keyword"
    assert sources["flush_interval_s"] == "file"
    assert sources["disk_budget"] == "environment"
    assert sources["token"] == "default"


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """`INAPP_MONITOR_CONFIG` stands for the argument."""
    file = tmp_path / "monitor.toml"
    file.write_text("max_routes = 3\n")
    loaded = config.load({}, None, {"INAPP_MONITOR_CONFIG": str(file)})
    assert loaded.settings.max_routes == 3


@each("source", ["keyword", "environment", "file"])
def test_an_unknown_name_is_refused_with_the_nearest_match(source: str, tmp_path: Path) -> None:
    """A typing error must not switch a protection off silently."""
    file = tmp_path / "monitor.toml"
    file.write_text("max_rotues = 1\n" if source == "file" else "")
    keywords = {"max_rotues": 1} if source == "keyword" else {}
    environ = {"INAPP_MONITOR_MAX_ROTUES": "1"} if source == "environment" else {}
    with pytest.raises(ConfigError, match=rf"'max_rotues' \(from {source}\).*'max_routes'"):
        config.load(keywords, file, environ)


@each(
    ("name", "value", "expected"),
    [
        ("max_routes", "many", "a whole number, got 'many'"),
        ("max_routes", True, "a whole number"),
        ("max_routes", 0, "at least 1"),
        ("disk_budget", "12 parsecs", "a size such as 256MB"),
        ("disk_budget", "31MB", "at least 32MB"),
        ("flush_interval_s", "soon", "a duration such as"),
        ("flush_interval_s", 3600, "at most 60"),
        ("dev_access", "perhaps", "true or false"),
        ("mount", "metrics", "a path such as /_metrics"),
        ("mount", "/metrics/", "a path such as /_metrics"),
        ("mount", "/a/../b?", "a path such as /_metrics"),
        ("data_dir", "", "a path"),
        ("token", 5, "a string"),
        ("token", "a", "8 to 512 printable characters"),
        ("token", "seven-7", "8 to 512 printable characters"),
        ("token", "x" * 513, "8 to 512 printable characters"),
        ("token", "line\nbreak", "8 to 512 printable characters"),
        ("token", "         ", "without spaces at its ends"),
    ],
)
def test_a_bad_value_is_refused_with_what_was_expected(
    name: str, value: object, expected: str
) -> None:
    """One line that names the setting, its source and the expectation."""
    with pytest.raises(ConfigError, match="setting '" + name + "'") as caught:
        config.load({name: value}, None, {})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@each(
    ("text", "size"),
    [("0", 0), ("512", 512), ("1k", 1024), ("1.5MB", 1572864), ("2 GiB", 2**31), ("1t", 2**40)],
)
def test_sizes_are_read_in_powers_of_1024(text: str, size: int) -> None:
    """With or without a unit, any case."""
    assert setting_values.parse_size(text) == size


@each(
    ("text", "seconds"),
    [("500ms", 0.5), ("10", 10), ("10s", 10), ("5m", 300), ("5min", 300), ("2h", 7200)],
)
def test_durations_are_read_in_seconds(text: str, seconds: float) -> None:
    """With the units that retentions use."""
    assert setting_values.parse_duration(text) == seconds


@each("text", ["not TOML =", "inapp_monitor = 3"])
def test_a_file_that_cannot_be_read_is_named(text: str, tmp_path: Path) -> None:
    """The message says which file and what is wrong with it."""
    with pytest.raises(ConfigError, match=r"monitor\.toml"):
        settings_of(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Not silently ignored."""
    with pytest.raises(ConfigError, match=r"nowhere\.toml.*No such file"):
        config.load({}, tmp_path / "nowhere.toml", {})


def test_rows_hide_secrets() -> None:
    """The table for people never shows a token."""
    loaded = config.load({"token": "hunter2hunter2"}, None, {})
    assert "hunter2" not in repr(config.rows(loaded))
    assert {row.name for row in config.rows(loaded)} >= {"token", "data_dir", "mount"}


def test_variables_of_a_service_with_our_name_are_not_settings() -> None:
    """Kubernetes sets them in every container beside a service called inapp-monitor."""
    environ = {
        "INAPP_MONITOR_SERVICE_HOST": "10.0.0.7",
        "INAPP_MONITOR_SERVICE_PORT": "8000",
        "INAPP_MONITOR_PORT": "tcp://10.0.0.7:8000",
        "INAPP_MONITOR_PORT_8000_TCP_ADDR": "10.0.0.7",
    }
    assert set(config.load({}, None, environ).sources.values()) == {"default"}


def test_the_data_directory_stays_where_the_app_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon changes its directory to / after it was loaded."""
    monkeypatch.chdir(tmp_path)
    settings = config.load({"data_dir": "data"}, None, {}).settings
    monkeypatch.chdir("/")
    assert settings.data_dir == tmp_path / "data"


def test_a_refused_secret_is_not_in_the_message() -> None:
    """The message goes to logs."""
    with pytest.raises(ConfigError) as caught:
        config.load({"token": "secre7"}, None, {})
    assert "secre7" not in str(caught.value)


def test_an_empty_token_is_none(tmp_path: Path) -> None:
    """An unset variable in a deployment's file: the token is made, as without the setting."""
    settings = config.load({"token": "", "data_dir": tmp_path}, None, {}).settings
    assert not settings.token
