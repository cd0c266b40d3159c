"""The admin's URLs. Imported at the first request for one: they import every form."""

from django.contrib import admin
from django.urls import path

admin.autodiscover()

urlpatterns = [path("", admin.site.urls)]
