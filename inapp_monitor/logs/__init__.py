"""Log records of all workers: appended in the request, scrubbed and written in the tick, searched.

Nothing here knows the request path, errors or pages; `monitor` joins them.
"""
