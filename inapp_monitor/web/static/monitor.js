// Live refresh, crosshair, legend and zoom. The page is complete without it.
"use strict";
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const root = document.documentElement;
  root.classList.add("js");
  const live = document.querySelector(".live");
  const hidden = new Set(); // "chart number:series number" switched off in a legend
  let paused = false, busy = false, timer = 0;

  // -- live refresh: fetch this very page and put its parts in place
  function period() {
    const own = document.querySelector("main [data-refresh]");
    if (own) return Number(own.dataset.refresh);
    const view = new URLSearchParams(location.search).get("from") || "-1h";
    return { "-5min": 2, "-15min": 5, "-1h": 10, "-6h": 30 }[view] || 60;
  }
  function occupied() {
    const active = document.activeElement;
    return document.hidden || paused || busy || document.querySelector(".tip,.brush,.logs details[open]") ||
      (active && active.closest("main form"));
  }
  async function refresh() {
    if (occupied()) return;
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, credentials: "same-origin" });
      if (!answer.ok) { live.setAttribute("aria-pressed", "false"); paused = answer.status === 401; return; }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const focus = place(document.activeElement);
      for (const id of ["main", "footer"]) {
        const now = document.getElementById(id), next = fresh.getElementById(id);
        if (now && next) now.replaceChildren(...next.childNodes);
      }
      const periods = fresh.querySelectorAll(".range>a"); // a young installation's own one grows
      document.querySelectorAll(".range>a").forEach((link, number) => {
        const on = Boolean(periods[number]?.classList.contains("on"));
        link.classList.toggle("on", on);
        link.ariaCurrent = on ? "true" : null;
      });
      live.setAttribute("aria-pressed", "true");
      equip();
      if (focus) { const there = find(focus); if (there) there.focus({ preventScroll: true }); }
    } catch { live.setAttribute("aria-pressed", "false"); } finally { busy = false; }
  }
  function place(node) { // where the focus is, so that it can be found again
    if (!node || !node.closest("main")) return null;
    const all = [...document.querySelectorAll("main a, main button, main [tabindex]")];
    return { index: all.indexOf(node), href: node.getAttribute("href") };
  }
  function find(focus) {
    const node = document.querySelectorAll("main a, main button, main [tabindex]")[focus.index];
    return node && node.getAttribute("href") === focus.href ? node : null;
  }
  // -- menus: one at a time, closed by a click elsewhere and by Escape
  function closeMenus(but) {
    for (const menu of document.querySelectorAll(".menu[open]")) if (menu !== but) menu.open = false;
  }
  document.addEventListener("click", (event) => closeMenus(event.target.closest(".menu")));
  document.addEventListener("keydown", (event) => {
    const menu = event.key === "Escape" && document.querySelector(".menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); }
  });
  if (live) {
    live.hidden = false;
    live.addEventListener("click", () => {
      paused = !paused;
      live.setAttribute("aria-pressed", String(!paused));
      if (!paused) refresh();
    });
    document.addEventListener("input", (event) => { // what somebody begins to fill in must not vanish
      if (event.target.closest("main form")) { paused = true; live.setAttribute("aria-pressed", "false"); }
    });
    const tick = () => { refresh(); timer = setTimeout(tick, period() * 1000); };
    timer = setTimeout(tick, period() * 1000);
    document.addEventListener("visibilitychange", () => {
      clearTimeout(timer);
      if (!document.hidden) tick();
    });
  }

  // -- numbers as people read them
  const digits = (n) => n === 0 ? "0" : Math.abs(n) >= 100 ? Math.round(n).toLocaleString("en")
    : String(Number(n.toPrecision(3)));
  function show(value, unit) {
    if (value === null || value === undefined) return "–";
    if (unit === "ms") return value >= 1000 ? digits(value / 1000) + " s" : digits(value) + " ms";
    if (unit === "rate") return digits(value) + " /s";
    if (unit === "percent") return digits(value) + " %";
    if (unit === "bytes") {
      const size = ["B", "kB", "MB", "GB", "TB"];
      let power = 0;
      while (Math.abs(value) >= 1024 && power < 4) { value /= 1024; power++; }
      return digits(value) + " " + size[power];
    }
    return digits(value);
  }
  let zone = root.dataset.zone || "UTC", clock;
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" };
  try { clock = new Intl.DateTimeFormat("sv-SE", { ...parts, timeZone: zone }); } catch { // not known to this browser
    zone = "UTC";
    clock = new Intl.DateTimeFormat("sv-SE", { ...parts, timeZone: zone });
  }
  function moment(seconds, span) { // as "2026-11-23 14:43:05", cut to what matters
    const text = clock.format(seconds * 1000);
    return (span > 2 * 86400 ? text.slice(0, 16) : text.slice(11)) + " " + zone;
  }

  // -- charts
  function element(name, attributes, parent) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }
  function row(tip, name, text, colour) {
    const line = document.createElement("div"), left = document.createElement("span");
    const right = document.createElement("b");
    if (colour) { const dot = document.createElement("i"); dot.className = "k-" + colour; left.append(dot); }
    left.append(name);
    right.textContent = text;
    line.append(left, right);
    tip.append(line);
  }
  function equipChart(svg, chart, number) {
    const area = svg.parentElement, figure = area.closest("figure");
    const data = chart, span = data.end - data.start;
    let cross = null, tip = null, brush = null, anchor = null, at = null;
    const share = (event) => {
      const box = svg.getBoundingClientRect();
      return Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
    };
    function clear() { for (const node of [cross, tip]) if (node) node.remove(); cross = tip = null; }
    function point(x) {
      at = x;
      clear();
      const time = data.start + x * span, percent = x * 100 + "%";
      cross = element("line", { class: "cross", x1: percent, x2: percent, y1: data.top, y2: data.top + data.height }, svg);
      tip = document.createElement("div");
      tip.className = "tip";
      tip.setAttribute("role", "status");
      let stamp = null;
      const values = [];
      data.series.forEach((series, index) => {
        if (hidden.has(number + ":" + index)) return;
        const i = Math.round((time - series.start) / series.step - (series.bar ? 0.5 : 0));
        if (i < 0 || i >= series.values.length) return;
        if (stamp === null) stamp = series.start + i * series.step;
        values.push([series.name, show(series.values[i], series.unit || data.unit), series.colour]);
      });
      row(tip, moment(stamp === null ? time : stamp, span), "", "");
      for (const entry of values) row(tip, ...entry);
      area.append(tip);
      const left = x * area.clientWidth, wide = tip.offsetWidth;
      tip.style.left = Math.max(left > area.clientWidth / 2 ? left - wide - 12 : left + 12, 0) + "px";
      tip.style.top = "24px";
    }
    function zoom(a, b) {
      if (Math.abs(b - a) < 0.02) return;
      const url = new URL(location.href);
      url.searchParams.set("from", String(Math.floor(data.start + Math.min(a, b) * span)));
      url.searchParams.set("until", String(Math.ceil(data.start + Math.max(a, b) * span)));
      location.assign(url);
    }
    svg.addEventListener("pointermove", (event) => {
      const x = share(event);
      point(x);
      if (anchor === null) return;
      if (!brush) brush = element("rect", { class: "brush", y: data.top, height: data.height }, svg);
      brush.setAttribute("x", Math.min(anchor, x) * 100 + "%");
      brush.setAttribute("width", Math.abs(x - anchor) * 100 + "%");
    });
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.pointerType === "touch") return;
      anchor = share(event);
      svg.setPointerCapture(event.pointerId);
      event.preventDefault();
    });
    const finish = (event) => {
      if (anchor !== null && event.type === "pointerup") zoom(anchor, share(event));
      anchor = null;
      if (brush) brush.remove();
      brush = null;
    };
    svg.addEventListener("pointerup", finish);
    svg.addEventListener("pointercancel", finish);
    svg.addEventListener("pointerleave", () => { if (anchor === null) clear(); });
    // Keyboard: arrows move the crosshair, Enter marks one end and then the other, Escape leaves.
    svg.setAttribute("tabindex", "0");
    let mark = null;
    svg.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? 0.1 : 0.01;
      const moves = { ArrowLeft: -step, ArrowRight: step };
      if (event.key in moves) point(Math.min(Math.max((at === null ? 0.5 : at) + moves[event.key], 0), 1));
      else if (event.key === "Enter") {
        if (mark === null) { mark = at === null ? 0.5 : at; point(mark); } else zoom(mark, at);
      } else if (event.key === "Escape") { mark = null; clear(); svg.blur(); } else return;
      event.preventDefault();
    });
    svg.addEventListener("blur", () => { mark = null; clear(); });
    for (const button of figure.querySelectorAll(".legend button")) {
      const index = button.dataset.series, key = number + ":" + index;
      const apply = () => {
        button.setAttribute("aria-pressed", String(!hidden.has(key)));
        for (const group of svg.querySelectorAll(".n" + index)) group.classList.toggle("off", hidden.has(key));
      };
      button.addEventListener("click", () => { hidden.has(key) ? hidden.delete(key) : hidden.add(key); apply(); });
      apply();
    }
  }
  // -- single requests: what a mark stands for, where it is pointed at or focused
  function equipPoint(mark) {
    const area = mark.closest(".plotarea"), title = mark.querySelector("title");
    if (title) title.remove(); // the browser's own would come on top
    let tip = null;
    const hide = () => { if (tip) tip.remove(); tip = null; };
    const tell = () => {
      hide();
      tip = document.createElement("div");
      tip.className = "tip wraps";
      tip.textContent = mark.getAttribute("aria-label");
      area.append(tip);
      const box = mark.getBoundingClientRect(), home = area.getBoundingClientRect();
      const x = box.left + box.width / 2 - home.left, y = box.top - home.top;
      tip.style.left = Math.min(Math.max(x - tip.offsetWidth / 2, 0), Math.max(home.width - tip.offsetWidth, 0)) + "px";
      tip.style.top = (y > tip.offsetHeight + 6 ? y - tip.offsetHeight - 6 : y + box.height + 6) + "px";
    };
    mark.addEventListener("pointerenter", tell);
    mark.addEventListener("focus", tell);
    mark.addEventListener("pointerleave", hide);
    mark.addEventListener("blur", hide);
    mark.addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  }
  // -- a point each second: what the workers have answered since the second before
  const LAST_S = 60, answered = []; // [moment, requests a second]
  let before = null, underWay = 0;
  function drawNow() {
    const strip = document.querySelector("[data-now]"), last = answered[answered.length - 1];
    if (!strip || !last) return;
    const svg = strip.querySelector("svg"), most = Math.max(...answered.map((point) => point[1]));
    const seen = Math.max(Math.round(last[0] - answered[0][0]), 1);
    const waiting = underWay ? ", " + underWay + " being answered" : "";
    strip.querySelector("small").textContent = show(last[1], "rate") + waiting + "; at most " + show(most, "rate") + " in the last " + (seen < LAST_S - 2 ? seen + " s" : "minute");
    svg.replaceChildren();
    for (const [moment, rate] of answered) {
      const height = most ? Math.max(19 * rate / most, rate ? 0.6 : 0.2) : 0.2;
      element("rect", { x: LAST_S - 1 - (last[0] - moment), y: 20 - height, width: 0.8, height }, svg);
    }
    strip.hidden = false;
  }
  async function askNow() {
    const strip = document.querySelector("[data-now]");
    if (!strip || document.hidden || paused) { before = null; return; }
    const answer = await fetch(strip.dataset.now, { credentials: "same-origin" });
    if (!answer.ok) { before = null; return; }
    const found = await answer.json(), known = new Map(found.workers.map((row) => [row.pid, row.requests]));
    const took = before ? found.now - before.now : 0;
    if (took > 0.2 && took < 5) {
      let count = 0;
      for (const [pid, requests] of known) if (before.known.has(pid)) count += Math.max(requests - before.known.get(pid), 0);
      underWay = found.workers.reduce((sum, row) => sum + (row.live || 0), 0);
      answered.push([found.now, count / took]);
      while (found.now - answered[0][0] >= LAST_S) answered.shift();
      drawNow();
    }
    before = { now: found.now, known };
  }
  if (live) {
    const again = () => askNow().catch(() => { before = null; }).finally(() => setTimeout(again, 1000));
    again();
  }

  function equip() {
    drawNow();
    document.querySelectorAll("svg .point").forEach(equipPoint);
    document.querySelectorAll("svg[data-chart]").forEach((svg, number) => {
      equipChart(svg, JSON.parse(svg.dataset.chart), number);
    });
  }
  equip();

  // -- light, dark, or what the system says
  const theme = document.querySelector(".theme");
  if (theme) {
    const order = { "": "light", light: "dark", dark: "" };
    const name = () => {
      const chosen = root.dataset.theme || "";
      theme.textContent = { "": "◐", light: "☀", dark: "☾" }[chosen];
      theme.dataset.chosen = chosen || "auto";
      theme.title = theme.ariaLabel = "Colours: " + (chosen || "as the system") + "; click for " + (order[chosen] || "auto");
    };
    theme.hidden = false;
    name();
    theme.addEventListener("click", () => {
      const next = order[root.dataset.theme || ""];
      if (next) root.dataset.theme = next; else delete root.dataset.theme;
      try { localStorage.setItem("inapp-monitor-theme", next); } catch { /* for this page only */ }
      name();
    });
  }

  // -- the zone of whoever looks, on a click
  const mine = document.querySelector(".mine"), own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (mine && own && own !== clock.resolvedOptions().timeZone) {
    mine.hidden = false;
    mine.textContent = "times in " + own;
    mine.addEventListener("click", () => { mine.form.elements.tz.value = own; mine.form.submit(); });
  }

  // -- small comforts
  const compare = document.querySelector(".compare select");
  if (compare) compare.addEventListener("change", () => compare.form.submit());
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !/INPUT|SELECT|TEXTAREA/.test(event.target.tagName)) {
      const find = document.querySelector(".find input[type=search]");
      if (find) { event.preventDefault(); find.focus(); }
    }
  });
})();
