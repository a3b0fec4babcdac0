"""What a container may take and takes, from the files of cgroup v2. Nothing where there are none.

A limit may stand on any level above the process; the tightest one holds. In a container the
process sees its own group as the root.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
#: Levels looked at, the own one first.
_MOST_LEVELS = 12


class Container(NamedTuple):
    """Limits and use; None: no limit, or not readable.

    Attributes:
        memory_bytes: Memory in use without what the kernel can drop at once (inactive files).
        memory_limit_bytes: More, and the kernel kills.
        cpu_limit: Cores.
        throttled_ms: Total time that the processes were held back by that limit.
    """

    memory_bytes: float | None = None
    memory_limit_bytes: float | None = None
    cpu_limit: float | None = None
    throttled_ms: float | None = None


def read(root: Path = _ROOT, own: Path = _OWN) -> Container:
    """Read the files; whatever cannot be read is None. *Cost:* about 0.1 ms."""
    groups = _groups(root, own)
    if not groups:
        return Container()
    limits = {group: limit for group in groups if (limit := _memory_limit(group)) is not None}
    cores = [limit for group in groups if (limit := _cpu_limit(group)) is not None]
    tightest = min(limits, key=lambda group: limits[group], default=groups[0])
    used = _number(tightest / "memory.current")
    droppable = _field(tightest / "memory.stat", "inactive_file") or 0.0
    throttled_us = _field(groups[0] / "cpu.stat", "throttled_usec")
    return Container(
        None if used is None else max(used - droppable, 0.0),
        limits.get(tightest),
        min(cores, default=None),
        None if throttled_us is None else throttled_us / 1000.0,
    )


def _groups(root: Path, own: Path) -> list[Path]:
    """The process's group and those above it, as far as they are visible."""
    lines = (_text(own) or "").splitlines()
    path = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if path is None or ".." in Path(path).parts:
        return []
    group = root / path.lstrip("/")
    levels = [group, *group.parents]
    below = [level for level in levels if level == root or root in level.parents]
    return [level for level in below[:_MOST_LEVELS] if (level / "cgroup.controllers").exists()]


def _memory_limit(group: Path) -> float | None:
    return _number(group / "memory.max")


def _cpu_limit(group: Path) -> float | None:
    words = (_text(group / "cpu.max") or "").split()
    try:
        quota, period = float(words[0]), float(words[1])
    except (IndexError, ValueError):  # "max": no limit
        return None
    return quota / period if quota > 0 and period > 0 else None


def _field(path: Path, name: str) -> float | None:
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return _float(value)
    return None


def _number(path: Path) -> float | None:
    return _float(_text(path) or "")


def _float(text: str) -> float | None:
    return float(text) if text.strip().isdigit() else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return None
