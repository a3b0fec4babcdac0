"""In memory: what requests and instruments recorded, folded into deltas for the store."""

from inapp_monitor.recorder.recorder import Recorder

__all__ = ["Recorder"]
