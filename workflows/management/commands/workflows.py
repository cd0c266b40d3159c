"""``nodetool workflows``: stored workflows on the command line."""

from storage.management.nouns import NounCommand
from workflows.management import bundle_verbs, workflow_verbs


class Command(NounCommand):
    """Stored workflows. Whoever runs them adds the verb ``run``."""

    help = "List, read, import, export, check and delete workflows."
    noun = "workflows"
    verbs = {
        "list": workflow_verbs.ListVerb,
        "get": workflow_verbs.GetVerb,
        "import": workflow_verbs.ImportVerb,
        "export": workflow_verbs.ExportVerb,
        "import-bundle": bundle_verbs.ImportBundleVerb,
        "export-bundle": bundle_verbs.ExportBundleVerb,
        "validate": workflow_verbs.ValidateVerb,
        "delete": workflow_verbs.DeleteVerb,
    }
