"""How the database is emptied after a test that commits.

Django's own way makes the permissions of all models anew each time, which takes longer
than most of the tests. They are kept instead, with what they refer to.
"""

from django.core.management.color import no_style
from django.db import connections
from django.test import TransactionTestCase

KEPT = {"auth_permission", "django_content_type"}


def use_quick_flush() -> None:
    TransactionTestCase._fixture_teardown = _empty_tables


def _empty_tables(test_case: TransactionTestCase) -> None:
    for alias in test_case._databases_names(include_mirrors=False):
        connection = connections[alias]
        tables = set(connection.introspection.django_table_names()) - KEPT
        statements = connection.ops.sql_flush(no_style(), sorted(tables))
        connection.ops.execute_sql_flush(statements)
