"""Collectors written for Diamond, run unmodified: what `inapp_monitor.diamond` is made of.

`contract` is the base class they derive from, `config_file` reads Diamond's configuration,
`python2_source` and `python2_modules` run what was written for Python 2, `folder` finds collectors
and `adapted` makes each one a `Collector` of this package.
"""
