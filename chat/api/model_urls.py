"""Routes of the lists of models."""

from chat.api import model_views as views
from nodetool_site.lib.paths import both

urlpatterns = [
    both("api/models/providers", views.ProviderCollection.as_view()),
    both("api/models/all", views.AllModels.as_view()),
    both("api/models/recommended", views.RecommendedModels.as_view()),
    both("api/models/recommended/<path:task>", views.RecommendedForTask.as_view()),
    both("api/models/<kind>/<provider>", views.ModelsOfProvider.as_view()),
]
