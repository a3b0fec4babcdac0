"""Collectors: what samples numbers on an interval, built in or your own. Loaded on first use."""

from inapp_monitor.collectors.base import Collector
from inapp_monitor.ground.series_description import Description

__all__ = ["Collector", "Description"]
