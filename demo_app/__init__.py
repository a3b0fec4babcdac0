"""The demo: a small tea shop watched by inapp-monitor, and visitors who keep it busy.

`python -m demo_app` starts everything; `demo_app.wsgi:application` is for any WSGI server. The
shop itself (`demo_app.shop`) knows nothing of the monitor: `demo_app.application` joins the two.
"""
