"""``nodetool secrets``: what users' runs may use and nobody reads back."""  # noqa: A005 - the name of the command

from storage.management import secret_verbs
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """Secrets of one user, by default of user 1."""

    help = "Store, list, delete and re-encrypt secrets."
    noun = "secrets"
    verbs = {
        "store": secret_verbs.StoreVerb,
        "list": secret_verbs.ListVerb,
        "get": secret_verbs.GetVerb,
        "delete": secret_verbs.DeleteVerb,
        "rotate": secret_verbs.RotateVerb,
    }
