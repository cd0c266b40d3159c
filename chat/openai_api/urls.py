"""Routes of the OpenAI-compatible API."""

from chat.openai_api import embedding_views, responses_views, resumable_views, views
from nodetool_site.lib.paths import both

urlpatterns = [
    both("v1/chat/completions", views.ChatCompletions.as_view()),
    both(
        "v1/chat/completions/<completion_id>",
        resumable_views.CompletionDetail.as_view(),
    ),
    both(
        "v1/chat/completions/<completion_id>/stream",
        resumable_views.CompletionEvents.as_view(),
    ),
    both("v1/embeddings", embedding_views.EmbeddingCollection.as_view()),
    both("v1/responses", responses_views.Responses.as_view()),
    both("v1/models", views.ModelCollection.as_view()),
    both("v1/models/<path:model_id>", views.ModelDetail.as_view()),
]
