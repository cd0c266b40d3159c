"""``nodetool users``: who may call under the ``multi_user`` provider."""

from storage.management import user_verbs
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """Accounts that sign in by token alone."""

    help = "Add, list and remove users, and give them new tokens."
    noun = "users"
    verbs = {
        "add": user_verbs.AddVerb,
        "list": user_verbs.ListVerb,
        "remove": user_verbs.RemoveVerb,
        "reset-token": user_verbs.ResetTokenVerb,
    }
