"""The project: wires the apps into one server."""

__version__ = "0.1.0"
