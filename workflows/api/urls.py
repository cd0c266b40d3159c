"""Routes of stored workflows. Words that mean something come before ids."""

from nodetool_site.lib.paths import both
from workflows.api import bundle_views, node_views, version_views, views

VERSIONS = "api/workflows/<workflow_id>/versions"

urlpatterns = [
    both("api/nodes/metadata", node_views.NodeMetadata.as_view()),
    both("api/workflows", views.WorkflowCollection.as_view()),
    both("api/workflows/names", views.WorkflowNames.as_view()),
    both("api/workflows/tools", views.WorkflowTools.as_view()),
    both("api/workflows/public", views.PublicCollection.as_view()),
    both("api/workflows/public/<workflow_id>", views.PublicDetail.as_view()),
    both("api/workflows/examples", views.ExampleCollection.as_view()),
    both("api/workflows/examples/search", views.ExampleSearch.as_view()),
    both("api/workflows/examples/<package>/<name>", views.ExampleDetail.as_view()),
    both("api/workflows/validate", views.WorkflowValidation.as_view()),
    both("api/workflows/import-bundle", bundle_views.BundleImport.as_view()),
    both("api/workflows/<workflow_id>", views.WorkflowDetail.as_view()),
    both(
        "api/workflows/<workflow_id>/export-bundle", bundle_views.BundleExport.as_view()
    ),
    both("api/workflows/<workflow_id>/app", views.WorkflowApp.as_view()),
    both(VERSIONS, version_views.VersionCollection.as_view()),
    both(f"{VERSIONS}/<version>", version_views.VersionDetail.as_view()),
    both(f"{VERSIONS}/<version>/restore", version_views.VersionRestore.as_view()),
    both(f"{VERSIONS}/<version>/diff", version_views.VersionDiff.as_view()),
    both(
        "api/workflows/<workflow_id>/autosave",
        version_views.WorkflowAutosave.as_view(),
    ),
]
