"""Who may do what, as one table that the tests walk: see docs/testing.md."""
