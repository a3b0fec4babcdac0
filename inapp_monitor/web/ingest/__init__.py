"""The addresses below the mount that numbers are sent to: lines, JSON and what pushers speak."""
