"""Where settings are read from beside keywords: the environment, and a TOML file.

Nothing here knows which settings there are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from inapp_monitor.ground.exceptions import ConfigError

ENVIRONMENT_PREFIX = "INAPP_MONITOR_"

#: What Kubernetes puts into every container for a service that is called inapp-monitor.
_SERVICE_VARIABLE = re.compile(r"(SERVICE_)?(HOST|PORT)(_\w+)?", re.ASCII)


def from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Values of `INAPP_MONITOR_*` variables by the names of settings, known or not."""
    length = len(ENVIRONMENT_PREFIX)
    return {
        name[length:].lower(): value
        for name, value in environ.items()
        if name.startswith(ENVIRONMENT_PREFIX)
        and name != f"{ENVIRONMENT_PREFIX}CONFIG"  # names the file, see `load`
        and not _SERVICE_VARIABLE.fullmatch(name, length)
    }


def from_file(config_file: str | os.PathLike[str] | None) -> dict[str, object]:
    """Values of a TOML file, of its table `inapp_monitor` when it has one.

    Raises:
        ConfigError: it cannot be read, or is no TOML.
    """
    if config_file is None:
        return {}
    import tomllib

    try:
        document = tomllib.loads(Path(config_file).read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"config file {str(config_file)!r}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"config file {str(config_file)!r} is not TOML: {error}") from None
    section = document.get("inapp_monitor", document)
    if not isinstance(section, dict):
        raise ConfigError(f"config file {str(config_file)!r}: inapp_monitor must be a table")
    return section
