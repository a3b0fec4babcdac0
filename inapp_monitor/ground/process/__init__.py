"""The life of a process: its ticks, forks, end, late imports and job threads."""
