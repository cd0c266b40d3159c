"""``manage.py runserver``: Django's habit, on the server that also speaks WebSocket."""

from daphne.management.commands.runserver import Command as DaphneCommand


class Command(DaphneCommand):  # type: ignore[misc] # Daphne is untyped
    """Daphne's command: ASGI, and reloads when a source changes."""
