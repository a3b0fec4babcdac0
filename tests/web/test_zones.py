"""Times for people: in the zone of the setting, of the machine, or of the address."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import Client

from inapp_monitor.ground import config
from inapp_monitor.ground.exceptions import ConfigError, QueryError
from inapp_monitor.web.app import WebApp
from inapp_monitor.web.charts.ticks import time_ticks
from inapp_monitor.web.findings import comparison
from inapp_monitor.web.frame import zones
from inapp_monitor.web.frame.view import from_arguments
from tests.web import sample_past
from tests.web.stored_backend import NOW, stored_backend

BERLIN = ZoneInfo("Europe/Berlin")
HOUR, DAY = 3_600, 86_400
#: Zones whose offsets are whole hours, halves and quarters, and one that is set by half an hour.
ODD = ["Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "Australia/Lord_Howe"]


def epoch(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp())


@pytest.fixture
def client(past: Path, tmp_path: Path) -> Callable[..., Client]:
    """Makes a client of the recorded past, by settings."""
    data_dir = sample_past.copy(past, tmp_path / "data")

    def made(**settings: object) -> Client:
        return Client(WebApp(stored_backend(data_dir, shared=True, **settings), lambda _: True))

    return made


# -- which zone


def test_the_setting_takes_zones_of_iana() -> None:
    """A wrong name is told at once, with the one that was meant."""
    assert config.load({"time_zone": "Asia/Kolkata"}, environ={}).settings.time_zone
    assert config.load({}, environ={}).settings.time_zone == "local"
    with pytest.raises(ConfigError, match=r"did you mean Europe/Berlin\?"):
        config.load({"time_zone": "Europe/Berlim"}, environ={})
    for wrong in ("", "../../etc/passwd", 5):
        with pytest.raises(ConfigError, match="a zone such as Europe/Berlin, UTC or local"):
            config.load({"time_zone": wrong}, environ={})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        (":Asia/Kathmandu", "Asia/Kathmandu"),
        ("/usr/share/zoneinfo/Asia/Tokyo", "Asia/Tokyo"),
        ("UTC", "UTC"),
    ],
)
def test_the_machine_says_its_zone(given: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """`TZ` in all its spellings."""
    monkeypatch.setenv("TZ", given)
    assert zones.configured("local").name == name


@pytest.mark.parametrize(
    ("link", "text", "name"),
    [
        ("/usr/share/zoneinfo/Europe/Paris", None, "Europe/Paris"),
        ("/usr/share/zoneinfo/Etc/UTC", None, "UTC"),
        (None, "Asia/Dhaka\n", "Asia/Dhaka"),
        (None, None, "UTC"),
    ],
)
def test_without_tz_its_files_say_it(
    link: str | None, text: str | None, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link /etc/localtime, else the name in /etc/timezone, else UTC."""
    monkeypatch.delenv("TZ")
    for attribute, entry in (("LOCALTIME", "localtime"), ("TIMEZONE", "timezone")):
        monkeypatch.setattr(zones, attribute, tmp_path / entry)
    if link:
        (tmp_path / "localtime").symlink_to(link)
    if text:
        (tmp_path / "timezone").write_text(text)
    assert zones.configured("local").name == name


def test_a_zone_that_is_not_installed_is_utc_and_one_log_line(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """A machine without tzdata shows times all the same."""
    missing = f"Atlantis/City{tmp_path.name}"  # not known from another run in this process
    with caplog.at_level(logging.WARNING):
        assert zones.configured(missing) == zones.UNIVERSAL
        assert zones.configured(missing) == zones.UNIVERSAL
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "tzdata" in caplog.text


# -- words and windows


@pytest.mark.parametrize(
    ("now", "zone", "text", "meant"),
    [
        ("2026-10-25 12:00", "Europe/Berlin", "midnight", "2026-10-25 00:00"),  # 23 h day ahead
        ("2026-10-26 12:00", "Europe/Berlin", "midnight yesterday", "2026-10-25 00:00"),
        ("2026-03-29 12:00", "Europe/Berlin", "04:00_20260329", "2026-03-29 04:00"),
        ("2026-07-01 00:10", "Asia/Kolkata", "18:30_20260630", "2026-06-30 18:30"),
        ("2026-07-01 00:10", "Asia/Kathmandu", "midnight", "2026-07-01 00:00"),
        ("2026-07-01 12:00", "Pacific/Chatham", "noon", "2026-07-01 12:00"),
    ],
)
def test_words_follow_the_zone(now: str, zone: str, text: str, meant: str) -> None:
    """`from=midnight` is the midnight of whoever reads the page."""
    view = from_arguments({"from": text, "tz": zone}, epoch(now, zone) + 120)
    assert view.start == min(epoch(meant, zone), view.end - 60)
    assert dict(view.query())["tz"] == zone


def test_the_configured_zone_stays_out_of_addresses() -> None:
    """Only another one is part of the state."""
    now = epoch("2026-10-25 12:00")
    assert dict(from_arguments({}, now, "-1h", "Europe/Berlin").query())["tz"] == ""
    view = from_arguments({"tz": "Europe/Berlin"}, now, "-1h", "Europe/Berlin")
    assert dict(view.query())["tz"] == ""
    assert dict(from_arguments({"tz": "UTC"}, now, "-1h", "Europe/Berlin").query())["tz"] == "UTC"
    with pytest.raises(QueryError, match="must be a zone of IANA"):
        from_arguments({"tz": "Mars/Base"}, now)


@pytest.mark.parametrize(
    ("end", "earlier"),
    [
        ("2026-10-25 12:00", "2026-10-24 12:00"),  # 25 hours before
        ("2026-03-29 12:00", "2026-03-28 12:00"),  # 23 hours before
        ("2026-07-02 12:00", "2026-07-01 12:00"),
    ],
)
def test_yesterday_is_the_same_time_by_the_clock(end: str, earlier: str, tmp_path: Path) -> None:
    """Daily habits are compared with themselves, also over the weekend when clocks are set."""
    now = epoch(end, "Europe/Berlin")
    view = from_arguments({"compare": "day", "tz": "Europe/Berlin"}, now)
    before = comparison.view_before(stored_backend(tmp_path / "data"), view)
    assert before is not None
    assert before.end == epoch(earlier, "Europe/Berlin")
    assert before.span == view.span


@pytest.mark.parametrize(
    ("day", "zone"),
    [
        ("0001-01-01", "Pacific/Chatham"),  # before the first day in UTC
        ("0001-01-02", "UTC"),
        ("1883-11-18", "America/New_York"),  # the day of the first time zones
        ("1970-01-01", "Pacific/Chatham"),  # before the epoch
    ],
)
def test_times_at_the_edge_of_the_calendar(
    day: str, zone: str, client: Callable[..., Client]
) -> None:
    """Any day is a time: it is shown or refused, and nothing fails."""
    visitor = client()
    query = {"from": day, "until": f"{day}T20:00:00", "tz": zone, "compare": "week"}
    assert visitor.get("/", query_string=query).status_code in (200, 400)
    for form in ("svg", "csv", "html"):
        asked = {**query, "target": "requests.errors", "format": form}
        assert visitor.get("/render", query_string=asked).status_code in (200, 400)


# -- axes


def labels(start: int, end: int, at_most: int, zone: str) -> list[str]:
    return [text for _, text in time_ticks(start, end, at_most, ZoneInfo(zone))]


def test_the_day_with_25_hours() -> None:
    """Every third hour by the clock on the wall: the third comes an hour late."""
    start = epoch("2026-10-25 00:00", "Europe/Berlin")
    ticks = time_ticks(start, start + 25 * HOUR, 9, BERLIN)
    assert [text for _, text in ticks] == [
        *("25 Oct", "03:00", "06:00", "09:00", "12:00", "15:00", "18:00", "21:00", "26 Oct"),
    ]
    assert [(b[0] - a[0]) / HOUR for a, b in pairwise(ticks)] == [4, *[3] * 7]


def test_the_hour_that_comes_twice_and_the_one_that_is_missing() -> None:
    """Both twos in the morning have their tick; in March there is none."""
    autumn = epoch("2026-10-25 00:30", "Europe/Berlin")
    assert labels(autumn, autumn + 4 * HOUR, 5, "Europe/Berlin") == [
        *("01:00", "02:00", "02:00", "03:00"),
    ]
    spring = epoch("2026-03-29 00:30", "Europe/Berlin")
    assert labels(spring, spring + 4 * HOUR, 5, "Europe/Berlin") == [
        *("01:00", "03:00", "04:00", "05:00"),
    ]


@pytest.mark.parametrize("month", [3, 10])
def test_days_begin_at_midnight_all_through_a_week(month: int) -> None:
    """Also after the clocks were set."""
    start = epoch(f"2026-{month:02}-22 12:00", "Europe/Berlin")
    ticks = time_ticks(start, start + 8 * DAY, 9, BERLIN)
    days = [datetime.fromtimestamp(moment, BERLIN) for moment, _ in ticks]
    assert [(day.hour, day.minute) for day in days] == [(0, 0)] * 8
    assert [day.day for day in days] == list(range(23, 31))


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("Asia/Kolkata", ["06:00", "12:00", "18:00", "2 Jul"]),
        ("Asia/Kathmandu", ["06:00", "12:00", "18:00", "2 Jul"]),
        ("Pacific/Chatham", ["06:00", "12:00", "18:00", "2 Jul"]),
    ],
)
def test_zones_of_half_and_quarter_hours(zone: str, expected: list[str]) -> None:
    """Round times of the zone, not of UTC."""
    start = epoch("2026-07-01 00:10", zone)
    assert labels(start, start + DAY, 5, zone) == expected


@given(
    st.sampled_from(ODD),
    st.integers(0, 4_000_000_000),
    st.sampled_from([60, 900, HOUR, 6 * HOUR, DAY, 8 * DAY, 40 * DAY, 400 * DAY]),
    st.integers(2, 12),
)
def test_ticks_are_round_in_order_and_not_too_many(
    zone: str, start: int, span: int, most: int
) -> None:
    """In any zone at any time."""
    tz = ZoneInfo(zone)
    ticks = [moment for moment, _ in time_ticks(start, start + span, most, tz)]
    assert ticks == sorted(set(ticks))
    assert all(start <= moment <= start + span for moment in ticks)
    assert len(ticks) <= 2 * most + 4
    gaps = [b - a for a, b in pairwise(ticks)]
    if span >= DAY and gaps and min(gaps) >= 20 * HOUR:
        local = [datetime.fromtimestamp(moment, tz) for moment in ticks]
        assert all((each.hour, each.minute) == (0, 0) for each in local)


# -- pages


def test_pages_name_their_zone_and_keep_it(client: Callable[..., Client]) -> None:
    """Titles, axes, footer and links; the JSON twin stays in epoch seconds."""
    page = client().get("/?tz=Asia/Kathmandu&from=-6h").text
    assert "times are Asia/Kathmandu" in page
    assert 'data-zone="Asia/Kathmandu"' in page
    assert re.search(r'href="/routes\?[^"]*tz=Asia%2FKathmandu', page)
    local = datetime.fromtimestamp(NOW, ZoneInfo("Asia/Kathmandu"))
    assert f">{local.hour - 1:02}:00</text>" in page
    data = client().get("/overview.json?tz=Asia/Kathmandu&from=-6h").json
    assert data["window"]["until"] - data["window"]["from"] == 6 * HOUR


def test_moments_carry_the_zone_of_their_time() -> None:
    """Summer and winter time are told apart on one page."""
    from inapp_monitor.web import human

    assert human.moment(epoch("2026-10-25 00:30"), BERLIN) == "2026-10-25 02:30:00 CEST"
    assert human.moment(epoch("2026-10-25 01:30"), BERLIN) == "2026-10-25 02:30:00 CET"
    for template in (Path(zones.__file__).parents[1] / "templates").iterdir():
        assert not re.search(r"\|\s*moment\s*}}\s*UTC", template.read_text()), template.name


def test_a_wrong_zone_is_a_plain_answer(client: Callable[..., Client]) -> None:
    """400 on pages; the render API takes the configured zone, as Graphite does."""
    assert client().get("/?tz=Mars/Base").status_code == 400
    answer = client().get("/render?target=requests.errors&from=-1h&tz=Mars/Base&format=csv")
    assert answer.status_code == 200


def test_render_speaks_the_configured_zone(client: Callable[..., Client]) -> None:
    """CSV, `midnight` and `tz=`: Graphite's TIME_ZONE."""
    visitor = client(time_zone="Asia/Kolkata")
    path = "/render?target=requests.errors&format=csv&from=-5min"
    last = visitor.get(path).text.strip().splitlines()[-1].split(",")[1]
    stamp = datetime.fromisoformat(last).replace(tzinfo=ZoneInfo("Asia/Kolkata"))
    assert abs(stamp.timestamp() - NOW) <= 60
    last = visitor.get(f"{path}&tz=UTC").text.strip().splitlines()[-1].split(",")[1]
    assert abs(datetime.fromisoformat(last).replace(tzinfo=UTC).timestamp() - NOW) <= 60
    points = visitor.get("/render?target=requests.errors&format=json&from=midnight").json
    midnight = epoch("2026-11-23 00:00", "Asia/Kolkata")
    assert 0 <= points[0]["datapoints"][0][1] - midnight <= 60
