"""Collectors: what samples numbers on an interval, built in or your own. Loaded on first use."""

from inapp_monitor.collectors.base import Collector

__all__ = ["Collector"]
