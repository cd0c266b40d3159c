"""Routes of stored conversations."""

from chat.api import thread_views as views
from nodetool_site.lib.paths import both

urlpatterns = [
    both("api/threads", views.ThreadCollection.as_view()),
    both("api/threads/<thread_id>", views.ThreadDetail.as_view()),
    both("api/threads/<thread_id>/summarize", views.ThreadSummary.as_view()),
    both("api/messages", views.MessageCollection.as_view()),
    both("api/messages/<message_id>", views.MessageDetail.as_view()),
]
