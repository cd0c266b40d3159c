"""What hostile callers send, made by the tests, beside what must go on working."""
