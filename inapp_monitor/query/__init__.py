"""Graphite's target language over numpy arrays: text in, series out.

Three layers: `grammar` and `timespec` (text to trees and times), `evaluate` (fetches what a target
names), `functions` (series in, series out; described by `registry`). The web draws it.
"""
