"""What traces find in the demo: the statement, host and line to blame, once its fault has begun."""

from __future__ import annotations

from pathlib import Path

from demo_app.application import build


def test_the_faults_are_named(tmp_path: Path) -> None:
    """A slow statement, an N+1 and the payment provider's host, each with its line of the shop."""
    app = build(tmp_path, fault_after_s=0)
    monitor = app.wsgi_app
    try:
        services = monitor.life.services  # type: ignore[attr-defined]
        shown: dict[str, list[str]] = {}
        services.tracing.listeners.append(
            lambda ended: shown.setdefault(ended.path, []).extend(
                span.text for span in services.tracing.shaped(ended)
            )
        )
        visitor = app.test_client()
        for _ in range(5):  # the first ones compile templates
            visitor.get("/categories/green").close()
        visitor.post("/cart/add", data={"product": 3, "quantity": 1}).close()
        visitor.get("/search?q=tea").close()
        form = {"country": "DE", "card": "4242 4242 4242 4242"}
        for _ in range(30):  # three of ten fail before
            try:
                visitor.post("/checkout", data=form).close()
            except Exception:  # a payment that the fault lets fail
                continue
        monitor.refresh()  # type: ignore[attr-defined]
        monitor.refresh()  # type: ignore[attr-defined]
        rows = {row.shape: row for row in services.statements.statements().values()}
        slow = rows["SELECT max(likeness(name, ?)) FROM product"]
        assert slow.sites[0].startswith("demo_app/fault.py:")
        (repeat,) = services.statements.repeats("/categories/<slug>")
        assert repeat.kind == "N+1"
        assert any(text.startswith("GET 127.0.0.1:") for text in shown["/checkout"])
    finally:
        monitor.close()  # type: ignore[attr-defined]
