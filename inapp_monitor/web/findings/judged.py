"""What the judge finds wrong, as pages show it: right now, or in a window that is over.

Now, it is what the leader shows. Looking back, it is the incidents that were kept; where nobody has
judged, the same detector looks at what was stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from inapp_monitor.alerts import review
from inapp_monitor.alerts.deploy_words import BEFORE_S, deploy_words
from inapp_monitor.alerts.incidents import Incident, Incidents, Part
from inapp_monitor.alerts.judge import is_severe, path_of
from inapp_monitor.alerts.trouble import WHOLE_APP
from inapp_monitor.alerts.trouble_words import words
from inapp_monitor.ground.facts import Facts
from inapp_monitor.ground.workers.route_names import RouteFacts
from inapp_monitor.recorder.recorder import RecorderFacts
from inapp_monitor.web import human
from inapp_monitor.web.backend import Backend
from inapp_monitor.web.findings import deploys
from inapp_monitor.web.frame.view import View

#: A look back is made again after so long: what is stored of it does not change much.
_REVIEWED_S = 20.0
#: Incidents of one page.
_SHOWN = 8
_KINDS = {
    "slow-requests": "slow",
    "failing-requests": "fail",
    "hanging-requests": "hang",
    "broken-links": "broken links",
    "not-found": "not found",
    "no-traffic": "stop",
}
#: Problems of rules that have a verdict of another kind on the overview.
_SHOWN_ELSEWHERE = {
    *("disk-space", "descriptors", "dropped-points", "own-faults", "rejecting-doors"),
    *("memory-growth", "worker-killed", "ranges"),
}
#: Seconds, and requests, in which a judge may not have seen enough.
_YOUNG_S, _FEW_REQUESTS = 120, 50


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is, or was, wrong.

    Attributes:
        kind: As the detector calls it; `rule` of what a rule found.
        state: `warn` or `crit`.
        title, detail: In words.
        path: The page with the evidence.
        since, until: Epoch seconds; None: it goes on.
        share: Of bad requests since the onset, 0 to 1.
        whole_app: Whether it is of the app as a whole.
    """

    kind: str
    state: str
    title: str
    detail: str
    path: str
    since: float
    until: float | None = None
    share: float = 0.0
    whole_app: bool = False


def findings(backend: Backend, facts: Facts, view: View) -> list[Wrong]:
    """What is wrong at the end of a live view, or was in any other; the worst first."""
    return _of_requests(backend, facts, view) + _worst_first(_of_rules(backend, view))


def _of_rules(backend: Backend, view: View) -> list[Wrong]:
    """Problems of rules, users' own ones above all."""
    found = [
        _placed(_of_rule(part, each), view)
        for each in incidents(backend, view)
        for part in each.parts
        if part.of_rule and part.rule not in _SHOWN_ELSEWHERE and _is_in(part, view)
    ]
    return found if view.until_text else _going_on(found)


def _of_rule(part: Part, incident: Incident) -> Wrong:
    detail = part.detail + _cause(incident, part)
    if part.acknowledged_by:
        detail += f" · acknowledged by {human.shorten(part.acknowledged_by, 80)}"
    return Wrong(
        *("rule", part.state, part.title, detail, part.path), since=part.onset, until=part.ended
    )


def _of_requests(backend: Backend, facts: Facts, view: View) -> list[Wrong]:
    if view.until_text:
        kept = [wrong for each in incidents(backend, view) for wrong in _parts(each, view)]
        return _worst_first(_telling(kept or _reviewed(backend, facts, view)))
    if backend.judged is None:
        kept = [wrong for each in incidents(backend, view) for wrong in _parts(each, view)]
        return _worst_first(_telling(_going_on(kept) or _going_on(_reviewed(backend, facts, view))))
    found = [_shown(each) for each in backend.judged()]
    if _has_seen_enough(backend, facts, view):
        return found
    return _worst_first(_telling(_earliest(found + _going_on(_reviewed(backend, facts, view)))))


def _going_on(found: list[Wrong]) -> list[Wrong]:
    return [wrong for wrong in found if wrong.until is None]


def _earliest(found: list[Wrong]) -> list[Wrong]:
    """Of what a young judge and the stored past both found: that which goes back further."""
    kept: dict[tuple[str, str], Wrong] = {}
    for wrong in sorted(found, key=lambda each: each.since):
        kept.setdefault((wrong.kind, wrong.path), wrong)
    return list(kept.values())


def _worst_first(found: list[Wrong]) -> list[Wrong]:
    return sorted(found, key=lambda each: (each.state != "crit", each.since, each.path))


def _has_seen_enough(backend: Backend, facts: Facts, view: View) -> bool:
    """A judge that has just begun, or has had hardly a request since, knows less than what was
    stored before."""
    seen = facts.of(RecorderFacts).requests_seen or 0
    return seen >= _FEW_REQUESTS and view.now - backend.judged_since >= _YOUNG_S


def incidents(backend: Backend, view: View) -> list[Incident]:
    """The incidents that were running in a window, the newest first."""
    return backend.incidents(view.start, view.end) if backend.incidents is not None else []


def incident_rows(backend: Backend, view: View) -> list[dict[str, Any]]:
    """Incidents of a window for the page, see `incident_row`."""
    return [incident_row(each, view) for each in incidents(backend, view)[:_SHOWN]]


def incident(backend: Backend, number: int) -> Incident | None:
    """One incident."""
    return Incidents(backend.database).get(number)


def incident_row(found: Incident, view: View) -> dict[str, Any]:
    """An incident for the page: id, title, detail, state, path, since, until, deploy (and in
    words), parts."""
    part = found.main
    return {
        "id": found.id,
        "title": part.title if found.ended is None else _past_tense(part.title),
        "detail": part.detail,
        "state": found.state,
        "path": part.path,
        "since": found.onset,
        "until": found.ended,
        "deploy": found.cause,
        "deploy_words": found.deploy_words(),
        "when": human.period(found.onset, found.ended or view.now, view.zone.tz),
        "parts": [
            {"title": one.title, "detail": one.detail, "state": one.state,
             "path": one.path, "since": one.onset, "until": one.ended}
            for one in found.parts
        ],
    }  # fmt: skip


def marks(backend: Backend, view: View) -> list[dict[str, Any]]:
    """Where incidents of a window began, as marks on its charts."""
    every = incidents(backend, view)[:_SHOWN]
    return [
        {"timestamp": each.onset, "label": f"incident {each.id}"}
        for each in every
        if view.start <= each.onset <= view.end
    ]


def _shown(found: dict[str, Any]) -> Wrong:
    return Wrong(
        *(found["kind"], found["state"], found["title"], found["detail"], found["path"]),
        since=found["since"],
        share=found["share"],
        whole_app=not found["route"],
    )


def _parts(incident: Incident, view: View) -> list[Wrong]:
    return [
        _placed(_of_part(part, _cause(incident, part)), view)
        for part in incident.parts
        if part.rule in _KINDS and _is_in(part, view)
    ]


def _cause(incident: Incident, part: Part) -> str:
    since = incident.deploy_words(part)
    return f" · {since}" if since else ""


def _is_in(part: Part, view: View) -> bool:
    return part.onset <= view.end and (part.ended or view.end) >= view.start


def _of_part(part: Part, cause: str) -> Wrong:
    return Wrong(
        *(_KINDS[part.rule], part.state, part.title, part.detail + cause, part.path),
        since=part.onset,
        until=part.ended,
        share=part.bad / max(part.count, 1),
        whole_app=part.series == "app",
    )


def _placed(wrong: Wrong, view: View) -> Wrong:
    """What was over when the window ended is shown with its time."""
    if wrong.until is None or wrong.until > view.end:
        return wrong
    period = human.period(wrong.since, wrong.until, view.zone.tz)
    return replace(wrong, title=_past_tense(wrong.title), detail=f"{period}: {wrong.detail}")


def _past_tense(title: str) -> str:
    for now, then in ((" is slow", " was slow"), (" are slow", " were slow")):
        title = title.replace(now, then)
    if title.startswith("Errors: "):
        title = title.replace(" fails", " failed").replace(" fail", " failed")
        return title.replace("faileded", "failed")
    return title.replace(" are broken", " were broken").replace(" are not ", " were not ")


def _reviewed(backend: Backend, facts: Facts, view: View) -> list[Wrong]:
    width = max(view.span // 5_000, 10)  # far less than the slots that are looked at
    key = ("review", view.start // width, view.end // width, backend.store.generation)
    target_ms = backend.loaded.settings.apdex_target_s * 1_000
    names = facts.of(RouteFacts).routes

    def make() -> list[Wrong]:
        found = review.review(backend.store, view.start, view.end, view.now, target_ms)
        return [_placed(_of_trouble(backend, each, view, names), view) for each in found]

    return list(backend.cache.get(key, make, _REVIEWED_S))


def _of_trouble(backend: Backend, found: review.Found, view: View, names: Any) -> Wrong:
    trouble = found.trouble

    def name_of(route: str) -> str:
        slug = route.rpartition(".")[0]
        return str(names.get(slug) or slug)

    until = view.end if found.ended is None else found.ended
    title, detail = words(trouble, until, name_of)
    onset = trouble.onset
    marks = deploys.between(backend, onset - BEFORE_S, onset + found.slot_s)
    if since := deploy_words(marks, onset, found.slot_s):
        detail += f" · {since}"
    severe = is_severe(trouble)
    return Wrong(
        *(trouble.kind, "crit" if severe else "warn", title, detail, path_of(trouble)),
        since=trouble.onset,
        until=found.ended,
        share=trouble.share,
        whole_app=trouble.route == WHOLE_APP,
    )


def _telling(every: list[Wrong]) -> list[Wrong]:
    """That of the whole app only where no route's tells more."""
    kinds = {each.kind for each in every if not each.whole_app}
    broken = any(each.kind == "broken links" for each in every)
    return [
        each
        for each in every
        if (not each.whole_app or each.kind not in kinds)
        and not (each.kind == "not found" and broken)
    ]
