"""Collectors: what samples numbers on an interval, ours and yours. Loaded by those who use them."""

from inapp_monitor.collectors.base import Collector

__all__ = ["Collector"]
