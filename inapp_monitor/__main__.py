"""`python -m inapp_monitor` is the command `inapp-monitor`."""

from inapp_monitor.cli.command_line import main

if __name__ == "__main__":
    main()
