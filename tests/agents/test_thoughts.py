"""What is kept of a model's thoughts."""

from workflows.agents.thoughts import MAX_KEPT, Thoughts


def test_thoughts_are_kept_since_the_last_time():
    thoughts = Thoughts()
    for piece in ("one ", "two"):
        thoughts.add(piece)

    assert thoughts.take() == "one two"
    assert thoughts.take() is None


def test_of_long_thoughts_the_beginning_is_kept():
    thoughts = Thoughts()
    for _ in range(3):
        thoughts.add("x" * (MAX_KEPT - 1))

    assert thoughts.take() == "x" * MAX_KEPT + f"… ({3 * (MAX_KEPT - 1)} characters)"
    thoughts.add("short")
    assert thoughts.take() == "short"
