"""Series and distributions on disk, in files of known size that several processes share.

`series.Store` is the only door. Behind it: what points become (`retention`, `rollup`, `flush_plan`,
`schemas`), what bytes they become (`group_format`, `distribution_format`, `whisper_format`), where
they live (`catalog`, `groups`, `distributions`), how they get there (`buffer`, `writer`, `lock`)
and back (`reader`, `whisper_tree`). Nothing here knows targets, routes or web pages.
"""
