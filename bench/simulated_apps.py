"""Simulated traffic of web apps: counts and durations by bucket for each route and step, by seed.

Twenty healthy apps of different shapes, and forty incidents of twelve kinds with their truth. A
step is `Step(t, dt, rows, own404, other404, events)`; a row is `(route, n, errors, [(bucket,
count), ...])`. Steps without requests are left out, but for one at each full ten minutes.
"""

import math
import random
from collections import namedtuple

from inapp_monitor.alerts import buckets

B = buckets.COUNT
DAY = 86_400
Step = namedtuple("Step", "t dt rows own404 other404 events")


lower = buckets.lower


class Route:
    """parts: [(weight, median_ms, sigma)] of log-normals; shares of traffic and of errors."""

    def __init__(self, name, share, parts, errors=0.0, hours=None, weekday=None):
        self.name, self.share, self.parts, self.errors = name, share, parts, errors
        self.hours, self.weekday = hours, weekday  # only then


class App:
    """rate: requests a second at the mean. All other fields are the shape; see `SHAPES`."""

    def __init__(self, name, rate, routes, day=0.5, weekend=0.7, **kw):
        self.name, self.rate, self.routes, self.day, self.weekend = name, rate, routes, day, weekend
        self.growth = self.drift = 0.0  # a day
        self.season = None  # (first day, last day, factor, latency factor)
        self.bursts = None  # (a day, factor, seconds, latency factor)
        self.office = False  # nobody at night and weekends; 10 days of holiday
        self.deploys, self.warm = 0.15, (2.0, 30.0)  # a day; latency factor at first, decay s
        self.gc = None  # (mean gap s, pause s, added ms)
        self.noise = None  # (a day, least s, most s, least x, most x)
        self.scan = None  # (a week, 404s, seconds)
        self.own404 = 0.0002  # usual share of own dead links
        self.clump = 1  # errors come in clumps of about so many
        self.cold = None  # (idle s, factor): first request after idle
        self.miss = None  # (least, most): share of the second part by hour
        self.batch = None  # (hour, seconds, latency factor for others)
        for key, value in kw.items():
            assert hasattr(self, key), key
            setattr(self, key, value)


class Incident:
    """Truth: kind, route index (None: all), begin, end; `size` and `share` as the kind needs."""

    def __init__(
        self, kind, app, route, begin, length, size=0.0, share=1.0, period=0, on=0, deploy=False
    ):
        self.kind, self.app, self.route = kind, app, route
        self.begin, self.end = begin, begin + length
        self.size, self.share, self.period, self.on, self.deploy = size, share, period, on, deploy

    def active(self, t):
        if not self.begin <= t < self.end:
            return False
        return not self.period or (t - self.begin) % self.period < self.on


_cdf_cache = {}


def probabilities(parts, log_factor16, add_ms, add_share):
    """Bucket probabilities of a mixture, times 2**(log_factor16/16), a share of it + add_ms."""
    key = (parts, log_factor16, add_ms, add_share)
    found = _cdf_cache.get(key)
    if found is None:
        shift, total = log_factor16 / 16, sum(w for w, _, _ in parts)
        cum = [0.0] * (B + 1)
        for b in range(1, B):
            edge = lower(b)
            for weight, median, sigma in parts:
                median *= 2**shift
                for share, added in ((1 - add_share, 0.0), (add_share, add_ms)):
                    if share and edge > added:
                        z = math.log((edge - added) / median) / sigma
                        cum[b] += share * weight / total * 0.5 * math.erfc(-z / 1.4142135623730951)
        cum[B] = 1.0
        if len(_cdf_cache) > 50_000:
            _cdf_cache.clear()
        found = _cdf_cache[key] = (
            cum,
            [(b, cum[b + 1] - cum[b]) for b in range(B) if cum[b + 1] - cum[b] > 1e-12],
        )
    return found


def poisson(rng, lam):
    if lam <= 0:
        return 0
    if lam > 40:
        return max(0, int(rng.gauss(lam, math.sqrt(lam)) + 0.5))
    limit, k, p = math.exp(-lam), 0, rng.random()
    while p > limit:
        k += 1
        p *= rng.random()
    return k


def binomial(rng, n, p):
    if n <= 0 or p <= 0:
        return 0
    if p >= 1:
        return n
    if n < 12:
        return sum(1 for _ in range(n) if rng.random() < p)
    mean = n * p
    if mean > 20 and n - mean > 20:
        return max(0, min(n, int(rng.gauss(mean, math.sqrt(mean * (1 - p))) + 0.5)))
    if mean <= 20:
        return min(n, poisson(rng, mean))
    return n - min(n, poisson(rng, n - mean))


def draw(rng, n, table):
    """Histogram of n draws."""
    cum, cells = table
    if n < 12:
        found = {}
        for _ in range(n):
            u, lo, hi = rng.random(), 0, B
            while hi - lo > 1:
                mid = (lo + hi) >> 1
                if cum[mid] <= u:
                    lo = mid
                else:
                    hi = mid
            found[lo] = found.get(lo, 0) + 1
        return list(found.items())
    out, left, mass = [], n, 1.0
    for b, p in cells:
        k = binomial(rng, left, min(1.0, p / mass)) if p < mass else left
        if k:
            out.append((b, k))
            left -= k
            if not left:
                break
        mass -= p
    if left:
        out.append((cells[-1][0], left))
    return out


def _times(rng, per_day, days):
    t, found = 0.0, []
    while per_day:
        t += rng.expovariate(per_day) * DAY
        if t >= days * DAY:
            break
        found.append(t)
    return found


def simulate(app, seed, days, incidents=(), dt=10, start_day=0, fine=1):
    """Steps of `days` days: `dt` seconds each, `fine` around begin and end of incidents."""
    rng = random.Random(f"{app.name}/{seed}")
    routes = app.routes
    total_share = sum(r.share for r in routes)
    deploys = _times(rng, app.deploys, days)
    for each in incidents:
        if each.deploy:
            deploys.append(each.begin - 15.0)
    deploys.sort()
    noise = (
        [
            (t, t + rng.uniform(*app.noise[1:3]), rng.uniform(*app.noise[3:5]))
            for t in _times(rng, app.noise[0], days)
        ]
        if app.noise
        else []
    )
    bursts = _times(rng, app.bursts[0], days) if app.bursts else []
    scans = _times(rng, app.scan[0] / 7, days) if app.scan else []
    pauses_next = rng.expovariate(1 / app.gc[0]) if app.gc else math.inf
    i_dep = i_noise = i_burst = i_scan = 0
    last_deploy = -1e9
    last_seen = [-1e9] * len(routes)
    parts = [tuple(r.parts) for r in routes]
    fine_spans = [
        span
        for i in incidents
        for span in ((i.begin - 60, min(i.begin + 1200, i.end)), (i.end - 60, i.end + 300))
    ]
    holiday = {(start_day + 357 + k) % 365 for k in range(10)} if app.office else ()
    t, end = 0, int(days * DAY)
    events = []
    clump_left = forced = 0
    rate_until, level, factor0, open_routes = -1, 0.0, 0, []
    while t < end:
        step = fine if any(a <= t < b for a, b in fine_spans) else dt
        if t >= rate_until:
            day = t // DAY + start_day
            hour = t % DAY / 3600
            weekday = day % 7
            level = (
                app.rate
                * (1 + app.day * math.sin((hour - 9) / 24 * 2 * math.pi))
                * (1 + app.growth) ** (t / DAY)
            )
            if weekday >= 5:
                level *= app.weekend
            if app.office and (weekday >= 5 or not 8 <= hour < 18 or day % 365 in holiday):
                level = 0.0
            slower = (1 + app.drift) ** (t / DAY)
            if app.season:
                a, b, f, lf = app.season
                x = (day % 365 - a) / (b - a)
                if 0 < x < 1:
                    bump = math.sin(math.pi * x) ** 2
                    level *= 1 + (f - 1) * bump
                    slower *= 1 + (lf - 1) * bump
            open_routes = [
                (k, r.share / total_share)
                for k, r in enumerate(routes)
                if (r.hours is None or r.hours[0] <= hour < r.hours[1])
                and (r.weekday is None or r.weekday == weekday)
            ]
            if app.batch and app.batch[0] <= hour < app.batch[0] + app.batch[1] / 3600:
                slower *= app.batch[2]
            misses = None
            if app.miss:
                misses = app.miss[0] + (app.miss[1] - app.miss[0]) * (
                    0.5 + 0.5 * math.sin(hour / 24 * 2 * math.pi)
                )
            factor0 = math.log2(slower)
            rate_until = t - t % 600 + 600
        while i_dep < len(deploys) and deploys[i_dep] <= t:
            last_deploy = deploys[i_dep]
            events.append("deploy")
            i_dep += 1
        down = t - last_deploy < 5
        lam, log_factor = level, factor0
        since = t - last_deploy
        if since < 8 * app.warm[1]:
            log_factor += math.log2(1 + (app.warm[0] - 1) * math.exp(-since / app.warm[1]))
        while i_noise < len(noise) and noise[i_noise][1] < t:
            i_noise += 1
        if i_noise < len(noise) and noise[i_noise][0] <= t:
            log_factor += math.log2(noise[i_noise][2])
        if app.bursts:
            while i_burst < len(bursts) and bursts[i_burst] + app.bursts[2] < t:
                i_burst += 1
            if i_burst < len(bursts) and bursts[i_burst] <= t:
                lam *= app.bursts[1]
                log_factor += math.log2(app.bursts[3])
        pause_share = 0.0
        if app.gc and pauses_next < t + step:
            pause_share = min(1.0, app.gc[1] / step)
            pauses_next = t + step + rng.expovariate(1 / app.gc[0])
        live = [i for i in incidents if i.active(t)]
        for each in live:
            if each.kind == "stop":
                lam *= each.size
        own404 = other404 = 0
        if app.scan:
            while i_scan < len(scans) and scans[i_scan] + app.scan[2] < t:
                i_scan += 1
            if i_scan < len(scans) and scans[i_scan] <= t:
                other404 = poisson(rng, app.scan[1] / app.scan[2] * step)
        rows = []
        seldom = lam * step < 0.05 and step == dt and not live
        n_all = forced if seldom else poisson(rng, lam * step)
        forced = 0
        if down:
            n_all = 0
        if n_all:
            left, mass = n_all, 1.0
            if n_all < 20 and len(open_routes) > 20:  # few requests over many routes
                weights = [s for _, s in open_routes]
                picks = {}
                for k, _ in rng.choices(open_routes, weights, k=n_all):
                    picks[k] = picks.get(k, 0) + 1
                counts = list(picks.items())
            else:
                counts = []
                for k, share in open_routes:
                    n = binomial(rng, left, min(1.0, share / mass)) if mass > 1e-9 else 0
                    mass -= share
                    left -= n
                    if n:
                        counts.append((k, n))
            for k, n in counts:
                route = routes[k]
                factor, add, add_share, fail = log_factor, 0, 0.0, route.errors
                mixture = parts[k]
                if misses is not None and len(mixture) == 2:
                    mixture = ((1 - misses, *mixture[0][1:]), (misses, *mixture[1][1:]))
                if pause_share:
                    add, add_share = app.gc[2], pause_share
                for each in live:
                    if each.route is not None and each.route != k:
                        continue
                    x = (t - each.begin) / (each.end - each.begin)
                    kind = each.kind
                    if kind in ("step", "tail", "intermittent", "after_deploy") and each.size > 0:
                        add, add_share = each.size, each.share
                    elif kind in ("step", "after_deploy") and each.size < 0:
                        factor += math.log2(-each.size)
                    elif kind in ("ramp", "leak"):
                        factor += math.log2(1 + (each.size - 1) * min(1.0, x * 1.2))
                    elif kind == "saturation":
                        factor += math.log2(1 + (each.size - 1) * min(1.0, (t - each.begin) / 300))
                        fail = max(fail, 0.1 * min(1.0, (t - each.begin) / 300))
                    if kind in ("all_fail", "some_fail", "one_of_many"):
                        fail = max(fail, each.share)
                    if kind == "after_deploy" and each.size == 0:
                        fail = max(fail, each.share)
                if app.cold and t - last_seen[k] > app.cold[0]:
                    factor += math.log2(app.cold[1])
                last_seen[k] = t
                hist = draw(rng, n, probabilities(mixture, round(factor * 16), add, add_share))
                if app.clump > 1 and fail == route.errors:
                    errors = 0
                    if clump_left and rng.random() < 0.5:
                        errors, clump_left = 1, clump_left - 1
                    if binomial(rng, n, fail / app.clump):
                        errors, clump_left = (
                            min(n, errors + 1),
                            clump_left + poisson(rng, app.clump - 1),
                        )
                else:
                    errors = binomial(rng, n, fail)
                rows.append((k, n, errors, hist))
            own404 = binomial(rng, n_all, app.own404)
            for each in live:
                if each.kind == "not_found":
                    own404 = binomial(rng, n_all, each.share)
        t += step
        if rows or own404 or other404 or events or live or t % 600 == 0:
            yield Step(t, step, rows, own404, other404, events)
            events = []
        if seldom:  # on to the next request, or to the next full ten minutes
            last = t - t % 600 + 600 - dt
            gap = int(rng.expovariate(lam) // dt) * dt if lam > 1e-9 else 600
            forced = int(t + gap < last)
            t = min(t + gap, max(last, t))


def pages(*spec, errors=0.0003):
    return [
        Route(name, share, [(1.0, median, sigma)], errors) for name, share, median, sigma in spec
    ]


SHOP = (
    ("/", 30, 12, 0.5),
    ("/search", 20, 60, 0.6),
    ("/item/<id>", 35, 20, 0.5),
    ("/cart", 10, 30, 0.5),
    ("/checkout", 4, 120, 0.5),
    ("/login", 1, 90, 0.3),
)
BLOG = (("/", 40, 8, 0.4), ("/post/<slug>", 50, 10, 0.5), ("/feed", 10, 25, 0.3))
API = (("/v1/get", 70, 3, 0.4), ("/v1/put", 25, 8, 0.5), ("/v1/list", 5, 40, 0.7))


def many(count):
    rng = random.Random(count)
    return [
        Route(
            f"/r{k}",
            1 / (k + 2),
            [(1.0, rng.choice((5, 10, 20, 40, 80)), rng.choice((0.3, 0.5, 0.7)))],
            0.0005,
        )
        for k in range(count)
    ]


def shapes():
    """Twenty healthy apps."""
    return [
        App("shop", 12, pages(*SHOP), 0.7),
        App("night_low", 0.5, pages(*BLOG), 0.97, 1.2),
        App("three_an_hour", 3 / 3600, pages(*BLOG, errors=0.002), 0.5, cold=(600, 12)),
        App("bursts", 1.0, pages(*BLOG), 0.6, bursts=(0.5, 20, 600, 1.5)),
        App(
            "night_batch",
            1.0,
            [*pages(*SHOP[:4]), Route("/batch", 8, [(1.0, 3500, 0.4)], 0.001, hours=(2, 2.3))],
            batch=(2, 1080, 1.5),
        ),
        App(
            "bimodal",
            4,
            [Route("/cached", 60, [(0.8, 4, 0.3), (0.2, 300, 0.4)], 0.0003), *pages(*BLOG[1:])],
            miss=(0.08, 0.3),
        ),
        App("cold_starts", 2, pages(*SHOP), deploys=3.0, warm=(10.0, 25.0)),
        App("gc_pauses", 25, pages(*API), gc=(180, 1.5, 900)),
        App("noisy_host", 3, pages(*SHOP), noise=(3.0, 40, 240, 2.0, 4.0)),
        App("growth", 1.5, pages(*SHOP), growth=0.004, drift=0.003),
        App("season", 3, pages(*SHOP), season=(300, 360, 6, 1.7)),
        App("scanned", 0.8, pages(*BLOG), scan=(1.5, 2500, 300)),
        App("flaky", 4, pages(*SHOP, errors=0.005), clump=4),
        App(
            "reports", 0.3, [*pages(*SHOP[:3]), Route("/report", 2, [(1.0, 1500, 1.0)], 0.001)], 0.9
        ),
        App(
            "once_a_week",
            0.7,
            [
                *pages(*BLOG),
                Route("/invoice", 0.5, [(1.0, 700, 0.5)], 0.0, hours=(9, 9.5), weekday=1),
            ],
        ),
        App("thousand", 1000, pages(*API, errors=0.0001), 0.4, 0.9),
        App("many_routes", 0.6, many(120), 0.8, 0.5),
        App("office", 0.25, pages(*SHOP), office=True),
        App("polled", 5, pages(*API), 0.02, 1.0, deploys=0.05),
        App("ten_an_hour", 10 / 3600, pages(*BLOG, errors=0.001), 0.6),
    ]


def planted():
    """Forty incidents of twelve kinds: {app name: [Incident]}, days 15 to 17 of a run of 18."""
    d = 15 * DAY
    h = 3600
    spec = [
        # kind, app, route, begin, length, size, share, period, on, deploy
        ("step", "shop", 0, d + 10 * h, 1200, 800, 1.0),
        ("step", "polled", 0, d + 3 * h, 900, 200, 1.0),
        ("step", "ten_an_hour", 1, d + 9 * h, 6 * h, 2500, 1.0),
        ("step", "night_low", 1, d + 14 * h, 1800, -2.5, 1.0),
        ("step", "growth", 2, d + 11 * h, 3600, -2.5, 1.0),
        ("step", "three_an_hour", None, d + 8 * h, 10 * h, 6000, 1.0),
        ("ramp", "shop", 1, d + 16 * h, 3600, 10),
        ("ramp", "noisy_host", 2, d + 9 * h, 5400, 12),
        ("ramp", "office", 1, d + 33 * h, 5400, 10),
        ("tail", "polled", 1, d + 12 * h, 3600, 3000, 0.05),
        ("tail", "bursts", 1, d + 10 * h, 3600, 3000, 0.06),
        ("tail", "thousand", 0, d + 20 * h, 1800, 2000, 0.04),
        ("all_fail", "shop", 4, d + 13 * h, 900, 0, 1.0),
        ("all_fail", "scanned", 1, d + 8 * h, 1200, 0, 1.0),
        ("all_fail", "flaky", 3, d + 19 * h, 900, 0, 1.0),
        ("all_fail", "three_an_hour", None, d + 9 * h, 8 * h, 0, 1.0),
        ("some_fail", "season", 2, d + 15 * h, 1800, 0, 0.05),
        ("some_fail", "thousand", 1, d + 4 * h, 900, 0, 0.05),
        ("some_fail", "gc_pauses", 0, d + 7 * h, 1800, 0, 0.05),
        ("one_of_many", "many_routes", 3, d + 10 * h, 3600, 0, 1.0),
        ("one_of_many", "many_routes", 20, d + 12 * h, 3 * h, 0, 1.0),
        ("one_of_many", "many_routes", 50, d + 11 * h, 6 * h, 0, 1.0),
        ("not_found", "polled", None, d + 9 * h, 1200, 0, 0.4),
        ("not_found", "scanned", None, d + 16 * h, 1800, 0, 0.4),
        ("not_found", "once_a_week", None, d + 12 * h, 1800, 0, 0.3),
        ("stop", "shop", None, d + 12 * h, 1200, 0.0),
        ("stop", "polled", None, d + 2 * h, 900, 0.0),
        ("stop", "bimodal", None, d + 21 * h, 1800, 0.02),
        ("leak", "season", None, d + 2 * h, 60 * h, 6),
        ("leak", "bursts", 1, d + 2 * h, 60 * h, 8),
        ("leak", "reports", 0, d + 2 * h, 60 * h, 10),
        ("intermittent", "noisy_host", 0, d + 9 * h, 3 * h, 900, 1.0, 600, 60),
        ("intermittent", "shop", 2, d + 8 * h, 3 * h, 800, 1.0, 600, 60),
        ("intermittent", "cold_starts", 1, d + 13 * h, 3 * h, 1500, 1.0, 600, 60),
        ("saturation", "season", None, d + 18 * h, 1800, 20),
        ("saturation", "night_batch", None, d + 15 * h, 1800, 20),
        ("saturation", "gc_pauses", None, d + 17 * h, 1200, 20),
        ("after_deploy", "cold_starts", 0, d + 10 * h, 2700, 600, 1.0, 0, 0, True),
        ("after_deploy", "once_a_week", 1, d + 14 * h, 2700, 0, 0.3, 0, 0, True),
        ("after_deploy", "bimodal", 1, d + 9 * h, 2700, -5, 1.0, 0, 0, True),
    ]
    return [Incident(*row) for row in spec]
