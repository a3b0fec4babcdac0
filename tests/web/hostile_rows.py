"""The table of `test_hostile_pages.py`: what strangers and broken programs send to the dashboard.

A row: name, method, path with query below the mount, statuses that are fine, and what else differs
from a GET with a good token: headers (CGI names as they are), body, how it gets in (`by`).
"""

from __future__ import annotations

import json
from typing import NamedTuple

XSS = "%22%27%3E%3Cscript%3Ealert(1)%3C/script%3E%3Csvg%20onload%3Dalert(1)%3E"
#: Evaluated by a template it would become 1787569.
SSTI = "%7B%7B1337*1337%7D%7D$%7B1337*1337%7D%3C%25%3D1337*1337%25%3E%23%7B1337*1337%7D"
CRLF = "a%0d%0aSet-Cookie:%20hacked=1%0d%0a%0d%0a%3Cscript%3E"
FORM = "application/x-www-form-urlencoded"
OK, BAD, GONE, BOTH = (200,), (400,), (404,), (200, 400)
DEEP = "[" * 100_000
T = "requests.time.p95"


class Row(NamedTuple):
    """One request and the statuses that are a fine answer."""

    name: str
    method: str
    target: str
    fine: tuple[int, ...]
    headers: dict[str, str] = {}
    body: bytes = b""
    by: str = "bearer"


def get(name: str, target: str, fine: tuple[int, ...] = OK, by: str = "bearer", **head: str) -> Row:
    """A GET; keywords are headers, `user_agent` for `User-Agent`."""
    headers = {key.replace("_", "-"): value for key, value in head.items()}
    return Row(name, "GET", target, fine, headers, b"", by)


def post(
    name: str, target: str, body: str | bytes, fine: tuple[int, ...], kind: str = FORM, **more: str
) -> Row:
    """A POST with the token in its header, so that only the body is wrong."""
    raw = body if isinstance(body, bytes) else body.encode()
    headers = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in more.items()}}
    return Row(name, "POST", target, fine, headers, raw)


SCRIPTS = [
    get("script in from", f"/?from={XSS}", BAD),
    get("script in until", f"/?until={XSS}", BAD),
    get("script in compare", f"/?compare={XSS}", BOTH),
    get("script in from, for a browser", f"/?from={XSS}", BAD, Accept="text/html"),
    get("script in sort", f"/routes?sort={XSS}", BOTH),
    get("script in method", f"/routes/search?method={XSS}", (200, 404)),
    get("script in a slug", f"/routes/{XSS}", GONE),
    get("script in the words searched for", f"/search?q={XSS}"),
    get("script in the words of the issue list", f"/errors?text={XSS}"),
    get("script in the status of issues", f"/errors?status={XSS}", BOTH),
    get("script in the release of issues", f"/errors?release={XSS}"),
    get("script in the order of issues", f"/errors?sort={XSS}", BOTH),
    get("script in the route of issues", f"/errors?route={XSS}"),
    get("script in the number of an event", f"/errors/{{issue}}?event={XSS}", BOTH),
    get("script in an issue's id", f"/errors/{XSS}", GONE),
    get("script in a target", f"/explore?target={XSS}"),
    get("script in an alias", f"/explore?target=alias({T},'{XSS[9:]}')"),
    get("script in the path of the tree", f"/explore?path={XSS}"),
    get("script in the shape", f"/explore?target={T}&shape={XSS}", BOTH),
    get("script in the function", f"/explore?target={T}&function={XSS}", BOTH),
    get("script in a dashboard's name", f"/dashboards/{XSS}", GONE),
    get("script in a page's name", f"/{XSS}", GONE, Accept="text/html"),
    get("script in an alias of an SVG", f"/render?target=alias({T},'{XSS[9:]}')&format=svg", BOTH),
    get("script in the title of an SVG", f"/render?target={T}&title={XSS}&format=svg"),
    get("script in the axis of an SVG", f"/render?target={T}&vtitle={XSS}&format=svg"),
    get("script in a colour of an SVG", f"/render?target={T}&bgcolor={XSS}&format=svg", BOTH),
    get("script in the font of an SVG", f"/render?target={T}&fontName={XSS}&format=svg", BOTH),
    get("script in the format", f"/render?target={T}&format={XSS}", BAD),
    get("script in the zone", f"/render?target={T}&tz={XSS}&format=json", BOTH),
    get("script in a name that is looked for", f"/metrics/find?query={XSS}", BOTH),
    get("script in a function's name", f"/functions/{XSS}", GONE),
    get("script in a tag", f"/tags/{XSS}", (200, 404)),
    get("script in the tags of events", f"/events/get_data?tags={XSS}"),
    get("script in the way back", f"/login?next={XSS}", by="nobody"),
    get("script in the agent", "/nowhere", GONE, User_Agent="<script>alert(1)</script>"),
    get("script in the referer", "/", Referer="javascript:alert(1)"),
    get("script in the address that a proxy names", "/", X_Forwarded_For="<script>1</script>"),
]
TEMPLATES = [
    get("template in from", f"/?from={SSTI}", BAD, Accept="text/html"),
    get("template in the words searched for", f"/search?q={SSTI}", Accept="text/html"),
    get("template in a target", f"/explore?target={SSTI}", Accept="text/html"),
    get("template in a page's name", f"/{SSTI}", GONE, Accept="text/html"),
    get("template in an SVG's title", f"/render?target={T}&title={SSTI}&format=svg"),
    get("template in the way back", f"/login?next={SSTI}", by="nobody", Accept="text/html"),
    get("the format string of Python", "/search?q={0.__class__.__mro__}%25s%25(x)s"),
    post("template in a dashboard's title", "/dashboards/ssti",
         json.dumps({"title": "{{1337*1337}}", "panels": []}), (303, 400), "application/json"),
]  # fmt: skip
NUMBERS = [
    get(f"{name}={value}", f"{page}{name}={value}", fine)
    for page, name, value, fine in [
        ("/?", "from", "NaN", BAD),
        ("/?", "from", "Infinity", BAD),
        ("/?", "from", "1e999", BAD),
        ("/?", "from", "9" * 400, BAD),
        ("/?", "from", "-" + "9" * 30 + "y", BAD),
        ("/?", "from", "99991231", BOTH),
        ("/?", "from", "00000000", BAD),
        ("/?", "from", "-1", BOTH),
        ("/?", "from", "%EF%BC%91%EF%BC%92", BAD),
        ("/?", "until", "-9999y", BAD),
        ("/routes?", "from", "0", BOTH),
        ("/not-found?", "from", "1_000", BOTH),
        ("/errors/{issue}?", "event", "-1", BOTH),
        ("/errors/{issue}?", "event", "9" * 5_000, BOTH),
        ("/errors/{issue}?", "event", "1e3", BOTH),
        ("/events/", "number", "1", GONE),
    ]
] + [
    get("until before from", "/?from=-1h&until=-2h", BAD),
    get("until before from in a render", f"/render?target={T}&from=now&until=-1d", BOTH),
    get("from in the year 9999", f"/render?target={T}&from=00:00_99991231&format=json", BOTH),
    get("from before 1970", f"/render?target={T}&from=19000101&format=json", BOTH),
    get("an event's number beyond 64 bits", f"/events/{'9' * 40}", (200, 404)),
    get("a window of an hour in 100 years", f"/render?target={T}&from=-100y&format=json", BOTH),
]  # fmt: skip
RENDERS = [
    get(name, f"/render?target={target}&format=json", BOTH)
    for name, target in [
        ("calls in calls", "sumSeries(" * 200 + T + ")" * 200),
        ("only brackets", "(" * 3_000),
        ("braces in braces", "{a,{b,{c,{d,{e,{f,{g,{h}}}}}}}}"),
        ("a bomb of braces", "{a,b}" * 30),
        ("a bomb of ranges of braces", "{a,b,c,d,e,f,g,h,i,j}." * 12),
        ("stars without end", "*." * 500 + "*"),
        ("a star of stars", "*" * 2_000),
        ("classes without end", "[a-z" * 400),
        ("a regular expression that explodes", f"aliasSub({T},'((a%2B)%2B)%2B$','b')"),
        ("another one", "grep(*.*,'(.*a)%7B25%7D')"),
        ("one with alternatives", "exclude(*.*,'(a%7Caa)%2B$')"),
        ("one that repeats a million times", f"aliasSub({T},'(x%7B1000%7D)%7B1000%7D','')"),
        ("one with references without end", f"aliasSub({T},'(.)','%5C1%5C1%5C1%5C1%5C99')"),
        ("a replacement that does not exist", f"aliasSub({T},'a','%5Cg%3Cnope%3E')"),
        ("a negative window", f"movingAverage({T},-5)"),
        ("a window of no length", f"movingAverage({T},'0s')"),
        ("an endless window", f"movingAverage({T},'99999999999d')"),
        ("summing up nothing", f"summarize({T},'0s')"),
        ("a stack of a million days", f"timeStack({T},'1d',0,1000000)"),
        ("a shift out of time", f"timeShift({T},'-9999999y')"),
        ("a random walk of a billion points", "randomWalk('x',0.000001)"),
        ("division by nothing", f"divideSeries({T},constantLine(0))"),
        ("a number that is none", f"scale({T},NaN)"),
        ("an endless number", f"scale({T},1e99999)"),
        ("a percentile of a thousand", f"nPercentile({T},1000)"),
        ("Python", "__import__('os').system('id')"),
        ("SQL", "'%20or%201=1;--"),
        ("tags with an exploding expression", "seriesByTag('name=~(a%2B)%2B$')"),
        ("the empty target", ""),
        ("a string without its end", f"alias({T},'abc"),
    ]
] + [
    get("ten thousand targets", "/render?" + "&".join(["target=a"] * 10_000), (400, 414)),
    get("two hundred targets", "/render?" + "&".join([f"target={T}"] * 199), BAD),
    get("width=10^9", f"/render?target={T}&width=1000000000&format=svg", BOTH),
    get("width=0", f"/render?target={T}&width=0&height=0&format=svg", BOTH),
    get("width=-1", f"/render?target={T}&width=-1&format=svg", BOTH),
    get("width=NaN", f"/render?target={T}&width=NaN&format=svg", BOTH),
    get("maxDataPoints=0", f"/render?target={T}&maxDataPoints=0&format=json", BOTH),
    get("maxDataPoints=-1", f"/render?target={T}&maxDataPoints=-1&format=json", BOTH),
    get("maxDataPoints=10^12", f"/render?target={T}&maxDataPoints=1000000000000&format=json", BOTH),
    get("maxDataPoints=1.5e3", f"/render?target={T}&maxDataPoints=1.5e3&format=json", BOTH),
    get("a callback", f"/render?target={T}&format=json&jsonp=alert(1)//", BOTH),
    get("a callback with a tag", f"/render?target={T}&format=json&jsonp=%3Cscript%3E", BOTH),
    get("a callback with a line break", f"/render?target={T}&format=json&jsonp={CRLF}", BOTH),
    get("a pickle", f"/render?target={T}&format=pickle", BOTH),
    get("a format in another directory", f"/render?target={T}&format=../../etc/passwd", BAD),
    get("a font of the file system", f"/render?target={T}&fontName=/etc/passwd&format=svg", BOTH),
    get("a colour from elsewhere", f"/render?target={T}&bgcolor=url(//evil.example)&format=svg",
        BOTH),
    get("a hundred parameters of one name", f"/render?target={T}" + "&from=-1h" * 100 + "&format=json", BOTH),
    get("parameters without names", f"/render?target={T}&=&&=1&format=json&"),
    get("semicolons between parameters", f"/render?target={T};format=json", BOTH),
    get("a find of everything, everywhere", "/metrics/find?query=" + "*." * 60 + "*", BOTH),
    get("an expansion that explodes", "/metrics/expand?query=" + "{a,b}" * 25, BOTH),
    get("completing with an expression", "/tags/autoComplete/values?tag=name&valuePrefix=(a%2B)%2B"),
    get("searching for very much", "/search?q=" + "a" * 15_000, BOTH),
]  # fmt: skip
BYTES = [
    get("a NUL in the path", "/routes/%00", GONE),
    get("a NUL in a parameter", "/search?q=a%00b"),
    get("a NUL in a target", "/render?target=a%00b&format=json", BOTH),
    get("a NUL in an SVG", f"/render?target=alias({T},'%00%08%ef%bf%bf')&format=svg", BOTH),
    get("bytes that are no text", "/search?q=%ff%fe%80"),
    get("overlong UTF-8", "/static/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd", GONE),
    get("half a character", "/search?q=%ed%a0%80"),
    get("text from right to left", "/search?q=%e2%80%ae%e2%80%aeabc"),
    get("a hundred combining marks", "/search?q=a" + "%cc%81" * 100),
    get("a line break for a header, in the path", f"/{CRLF}", GONE),
    get("a line break for a header, in the way back", f"/login?next=/{CRLF}", by="nobody"),
    get("a line break for a header, in the format", f"/render?target={T}&format={CRLF}", BAD),
    get("percent signs without digits", "/search?q=%%%zz%4"),
    get("a path of two thousand characters", "/" + "a" * 2_040, (404, 414)),
    get("a path of eighty thousand", "/" + "a" * 80_000, (404, 414)),
    get("a path of four hundred levels", "/a" * 400, GONE),
]
PATHS = [
    get("dots", "/static/../../../../etc/passwd", GONE),
    get("dots in percent signs", "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd", GONE),
    get("dots in percent signs twice", "/static/%252e%252e/etc/passwd", GONE),
    get("backslashes", "/static/..%5c..%5cetc%5cpasswd", GONE),
    get("an absolute path", "/static//etc/passwd", GONE),
    get("a NUL behind the name", "/static/monitor.css%00.py", GONE),
    get("source code", "/static/__init__.py", GONE),
    get("a template", "/templates/base.html", GONE),
    get("dots for an issue", "/errors/..%2f..%2ftoken", GONE),
    get("dots for a dashboard", "/dashboards/..%2f..%2fmonitor", GONE),
    get("the token's file", "/token", GONE),
    get("the database", "/monitor.db", GONE),
    get("git", "/.git/config", GONE),
    get("an issue that SQL would find", "/errors/1%27%20or%20%271%27=%271", GONE),
    get("a slash too many", "//evil.example/", GONE),
    get("the device names of Windows", "/static/con", GONE),
]
BODIES = [
    post("ten megabytes", "/dashboards/big", b"x" * 10_000_000, (413,), "application/json"),
    post("ten megabytes to render", "/render", b"target=" + b"a" * 10_000_000, (413,)),
    post("an array without end", "/dashboards/deep", DEEP, BAD, "application/json"),
    post("an event without end", "/events/", DEEP, BAD, "application/json"),
    post("objects in objects", "/events/", '{"what":' * 20_000, BAD, "application/json"),
    post("a number of five thousand digits", "/events/", '{"what":"x","when":' + "9" * 5_000 + "}",
         BAD, "application/json"),
    post("a moment that is none", "/events/", '{"what":"x","when":NaN}', BAD, "application/json"),
    post("an endless moment", "/events/", '{"what":"x","when":1e999}', BAD, "application/json"),
    post("a list for an object", "/events/", "[1,2]", BAD, "application/json"),
    post("null for an object", "/events/", "null", BAD, "application/json"),
    post("nothing", "/events/", "", BAD, "application/json"),
    post("bytes for JSON", "/events/", b"\xff\xfe\x00", BAD, "application/json"),
    post("a pickle", "/events/", b"\x80\x04\x95cos\nsystem\n(S'id'\ntR.", (400, 413)),
    post("XML with an entity", "/events/",
         '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>', BAD, "text/xml"),
    post("script in an event", "/events/", '{"what":"<script>alert(1)</script>","tags":["deploy"]}',
         OK, "application/json"),
    post("script in a dashboard", "/dashboards/evil", json.dumps({
        "title": "<script>alert(1)</script>",
        "panels": [{"title": "<svg onload=alert(1)>", "targets": ["\"><script>alert(1)</script>"]}],
    }), (303, 400), "application/json"),
    post("a dashboard of a million panels", "/dashboards/many",
         '{"panels":[' + ",".join(['{"targets":["a"]}'] * 40_000) + "]}", BAD, "application/json"),
    post("a dashboard that is a string", "/dashboards/text", '"x"', BAD, "application/json"),
    post("a dashboard with odd types", "/dashboards/odd",
         '{"title":1,"panels":{"a":[null]}}', BAD, "application/json"),
    post("a bad name for a dashboard", "/dashboards", "name=../../x&target=a", BAD),
    post("a multipart body without its end", "/dashboards",
         "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1", (400, 415),
         "multipart/form-data; boundary=x"),
    post("a multipart body without a boundary", "/render", "--", (400, 415), "multipart/form-data"),
    post("a form of ten thousand fields", "/render", "&".join(["target=a"] * 10_000), (400, 413)),
    post("a form in UTF-16", "/render", "target=a".encode("utf-16"), (*BOTH, 413)),
    post("a type without a slash", "/render", f"target={T}&format=json", BOTH, "nonsense"),
    post("a type with a line break", "/render", f"target={T}&format=json", BOTH, "a/b\r\nX: y"),
    post("a body in an unknown coding", "/events/", b"\x1f\x8b\x08", (400, 413), Content_Encoding="gzip"),
    post("a length that is none", "/events/", "{}", (400, 411), Content_Length="abc"),
    post("a negative length", "/events/", "{}", (400, 411), Content_Length="-5"),
    post("a length of a terabyte", "/events/", "{}", (413,), Content_Length="1099511627776"),
    post("comments that are very long", "/errors/{issue}/comment", "comment=" + "a" * 100_000,
         (303, 400)),
    post("an action that there is not", "/errors/{issue}/explode", "", GONE),
    post("merging with itself", "/errors/{issue}/merge", "into={issue}", (303, 400, 404)),
    post("merging with nonsense", "/errors/{issue}/merge", "into=%00../", (303, 400, 404)),
    post("muting for minus one", "/errors/{issue}/mute-until", "more=-1", (303, 400)),
    post("muting for nonsense", "/errors/{issue}/mute-until", "more=1e9&within=never", (303, 400)),
    post("deleting a panel that is none", "/dashboards/evil/delete", "panel=999", (400, 404)),
    post("deleting a panel with a sign", "/dashboards/evil/delete", "panel=-1", (400, 404)),
    post("an action on nothing", "/errors", "action=resolve&issue=%00", (303, 400, 404)),
    post("an unknown action on some", "/errors", "action=explode&issue={issue}", (303, 400, 404)),
]  # fmt: skip
REFUSED = (400, 403, 404, 405)
FORGED = [
    Row(name, "POST", target, REFUSED, {"Content-Type": FORM, **headers}, body, "cookie")
    for name, target, headers, body in [
        ("a form without its token", "/errors/{issue}/delete", {}, b""),
        ("a form with a made-up token", "/errors/{issue}/delete", {}, b"csrf=x"),
        ("a form of another site", "/errors/{issue}/delete", {"Origin": "http://evil.example"}, b"csrf={csrf}"),
        ("a form of a page fetched elsewhere", "/errors/{issue}/delete", {"Sec-Fetch-Site": "cross-site"}, b"csrf={csrf}"),
        ("a form of a subdomain", "/errors/{issue}/delete", {"Sec-Fetch-Site": "same-site"}, b"csrf={csrf}"),
        ("a form of this host at another port", "/errors/{issue}/delete", {"Origin": "http://shop.example:81"}, b"csrf={csrf}"),
        ("a form of a host that starts like this", "/errors/{issue}/delete", {"Origin": "http://shop.example.evil.example"}, b"csrf={csrf}"),
        ("an event without the token", "/events/", {"Content-Type": "text/plain"}, b'{"what":"x"}'),
        ("a dashboard without the token", "/dashboards/forged", {"Content-Type": "text/plain"}, b"{}"),
        ("a tag without the token", "/tags/tagSeries", {}, b"path=a;b=c"),
        ("logging somebody out", "/logout", {"Origin": "http://evil.example"}, b""),
        ("a method in a header", "/errors/{issue}", {"X-HTTP-Method-Override": "DELETE"}, b"csrf={csrf}"),
    ]
] + [
    get("deleting by a link", "/errors/{issue}/delete", (404, 405), by="cookie"),
    get("logging out by a link", "/logout", (404, 405), by="cookie"),
]  # fmt: skip
METHODS = [
    Row(f"{method} {target}", method, target, fine)
    for method, target, fine in [
        ("HEAD", "/", OK),
        ("HEAD", "/render?target=requests.time.p95&format=svg", OK),
        ("HEAD", "/nowhere", GONE),
        ("OPTIONS", "/", (200, 204)),
        ("OPTIONS", "/render", (200, 204)),
        ("TRACE", "/", (405,)),
        ("CONNECT", "/", (405,)),
        ("PROPFIND", "/", (405,)),
        ("PUT", "/dashboards/x", (405,)),
        ("DELETE", "/errors/{issue}", (405,)),
        ("PATCH", "/status", (405,)),
        ("GET\r\nX: y", "/", (400, 405, 501)),
        ("get", "/", (200, 405)),
        ("", "/", (400, 405)),
        ("POST", "/", (405,)),
        ("POST", "/login", (401, 403, 429)),
    ]
]
HEADERS = [
    get("a host that is none", "/", (400, 421), Host="<script>"),
    get("a host with a name and a password", "/", (400, 421), Host="shop.example@evil.example"),
    get("a host with a line break", "/", (400, 421), Host="a\r\nX: y"),
    get("a host of five thousand characters", "/", (200, 400, 421), Host="a" * 5_000),
    get("an empty host", "/", (200, 400, 421), Host=""),
    get("the host of a proxy", "/", OK, X_Forwarded_Host="evil.example"),
    get("the scheme of a proxy", "/", OK, X_Forwarded_Proto="javascript"),
    get("another address than asked for", "/", OK, X_Original_URL="/../status", X_Rewrite_URL="/x"),
    get("cookies that are none", "/", OK, Cookie=";;;=;=a;\x01;a=\"; inapp_monitor_=" + "x" * 100),
    get("ten thousand cookies", "/", OK, Cookie="; ".join(f"c{n}=1" for n in range(10_000))),
    get("a session that is none", "/", (401,), by="nobody", Cookie="{cookie_name}=9999999999.ab.cd"),
    get("a session without end", "/", (401,), by="nobody", Cookie="{cookie_name}=" + "9" * 7_000),
    get("a session that is no number", "/", (401,), by="nobody", Cookie="{cookie_name}=\xff.\xff"),
    get("two tokens", "/", (401,), by="nobody", Authorization="Bearer a, Bearer {token}"),
    get("an empty token", "/", (401,), by="nobody", Authorization="Bearer "),
    get("a token for another scheme", "/", (401,), by="nobody", Authorization="Basic {token}"),
    get("a token of bytes", "/", (401,), by="nobody", Authorization="Bearer \xff\xfe"),
    get("a token of a megabyte", "/", (401,), by="nobody", Authorization="Bearer " + "a" * 1_000_000),
    get("two tokens in the address", "/?token=a&token={token}", (401,), by="nobody"),
    get("a range of bytes", "/static/monitor.css", (200, 206, 416), Range="bytes=0-10"),
    get("a thousand ranges", "/static/monitor.css", (200, 206, 416), Range="bytes=" + "0-,"*1_000),
    get("a range that ends before it begins", "/", (200, 416), Range="bytes=9-1"),
    get("a tag that is none", "/static/monitor.css", OK, If_None_Match='W/"' + "x" * 5_000),
    get("a moment that is none", "/", OK, If_Modified_Since="Thu, 99 Foo 99999 99:99:99 GMT"),
    get("types without end", "/", BOTH, Accept="text/html;q=9e999," * 500),
    get("a type with a wrong weight", "/", BOTH, Accept="text/html;q=NaN, */*;q=-1"),
    get("codings without end", "/", OK, Accept_Encoding="gzip;q=1," * 2_000),
    get("a language of line breaks", "/", OK, Accept_Language="a\r\nb"),
    get("a request for a WebSocket", "/", OK, Upgrade="websocket", Connection="Upgrade"),
]  # fmt: skip
DOORS = [
    get(f"way back: {where}", f"/login?next={where}", by="nobody", Accept="text/html")
    for where in [
        "//evil.example", "https://evil.example", "/%5Cevil.example", "%5C%5Cevil.example",
        "javascript:alert(1)", "data:text/html,x", "///evil.example", "/%09/evil.example",
        "https:evil.example", "%20//evil.example", "/%2f%2fevil.example", "@evil.example",
    ]
] + [
    Row(f"login with way back {where}", "POST", f"/login?next={where}", (303,),
        {"Content-Type": FORM}, b"token={token}", "nobody")
    for where in ["//evil.example", "https://evil.example", "/%5Cevil.example", "/%0d%0aX:y", "/%0a//evil.example"]
] + [
    get("a login link with a way to elsewhere", "//evil.example/?token={token}", (303,), by="nobody"),
    get("a login link with a line break", "/%0d%0aX:%20y?token={token}", (303,), by="nobody"),
    Row("a login of another site", "POST", "/login", (403,),
        {"Content-Type": FORM, "Origin": "http://evil.example"}, b"token={token}", "nobody"),
    Row("a login of JSON", "POST", "/login", (401, 429),
        {"Content-Type": "application/json"}, b'{"token": "{token}"}', "nobody"),
    *[get(f"nobody at {page}", page, (401,), by="nobody")
      for page in ("/", "/routes", "/errors/{issue}", "/runtime", "/status.json", "/search?q=a",
                   "/render?target=*", "/metrics/find?query=*", "/events/get_data", "/logout",
                   "/dashboards.json", "/nowhere", "/functions", "/version")],
]  # fmt: skip

TOML = "application/toml"
NEWCOMERS = [
    get("the stack of a process that is none", "/runtime/requests/1-1", GONE),
    get("the stack of a process without end", f"/runtime/requests/{'9' * 150}-1", GONE),
    get("the stack of a negative process", "/runtime/requests/-1--1", GONE),
    get("the stack of a text", "/runtime/requests/abc", GONE),
    get("the stack of a script", f"/runtime/requests/{XSS}", GONE, Accept="text/html"),
    get("the stack of a path", "/runtime/requests/..%2f..%2ftoken", GONE),
    get("an export of nothing", "/dashboards/none/export.toml", GONE),
    get("an export as a program", "/dashboards/none/export.exe", GONE),
    get("an export elsewhere", "/dashboards/..%2f/export.json", GONE),
    get("a zone of the file system", "/?tz=../../../../etc/passwd", BOTH),
    get("a zone of script", f"/?tz={XSS}", BOTH, Accept="text/html"),
    get("a zone without end", "/?tz=" + "A/" * 4_000, BOTH),
    get("a zone with a NUL", "/?tz=UTC%00", BOTH),
    post("an upload without its end", "/dashboards/import",
         "--x\r\nContent-Disposition: form-data; name=file; filename=\"../../x\"\r\n\r\n[",
         BAD, "multipart/form-data; boundary=x"),
    post("an upload without a boundary", "/dashboards/import", "--", BAD, "multipart/form-data"),
    post("an upload named by a path", "/dashboards/import",
         "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../etc/passwd\"\r\n\r\n"
         "{\"panels\":[]}\r\n--x--\r\n", BAD, "multipart/form-data; boundary=x"),
    post("pasted script", "/dashboards/import", "name=x&text=" + XSS, BAD, Accept="text/html"),
    post("TOML that is none", "/dashboards/t1", "= = =", BAD, TOML),
    post("TOML without end", "/dashboards/t2", "a = " + "[" * 50_000, BAD, TOML),
    post("tables in tables", "/dashboards/t3", "[" + "a." * 30_000 + "a]", BAD, TOML),
    post("TOML of bytes", "/dashboards/t4", b"\xff\xfe", BAD, TOML),
    post("a number of TOML without end", "/dashboards/t5", "title = " + "9" * 5_000, BAD, TOML),
    post("script in TOML", "/dashboards/t6",
         'title = "<script>alert(1)</script>"\n[[panels]]\ntargets = ["a"]', (303, 400), TOML),
]  # fmt: skip

ROWS: list[Row] = [
    *SCRIPTS, *TEMPLATES, *NUMBERS, *RENDERS, *BYTES, *PATHS, *BODIES, *FORGED, *METHODS, *HEADERS,
    *DOORS, *NEWCOMERS,
]  # fmt: skip
