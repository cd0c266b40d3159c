"""``nodetool tokens``: the API tokens of users."""

from storage.management import token_verbs
from storage.management.nouns import NounCommand


class Command(NounCommand):
    """Tokens of one user, or of everybody."""

    help = "Create, list and revoke API tokens."
    noun = "tokens"
    verbs = {
        "create": token_verbs.CreateVerb,
        "list": token_verbs.ListVerb,
        "revoke": token_verbs.RevokeVerb,
    }
