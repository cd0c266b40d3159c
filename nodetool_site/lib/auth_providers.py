"""The values of ``AUTH_PROVIDER``: who vouches for callers. Imports nothing."""

SUPABASE = "supabase"
OPEN_PROVIDERS = ("none", "local")
TOKEN_PROVIDERS = ("multi_user", SUPABASE)
"""Those under which users differ, and their API tokens count."""
ENFORCING_PROVIDERS = ("static", *TOKEN_PROVIDERS)
PROVIDERS = (*OPEN_PROVIDERS, *ENFORCING_PROVIDERS)
