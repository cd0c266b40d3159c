"""Addresses of the jobs app's page."""

from django.urls import path

from jobs import pages

urlpatterns = [path("", pages.page, name="page")]
