"""Which tests a run with several workers keeps together."""

from tests.scheduling import scope_of

FILE = "tests/end_to_end/test_runs.py"


def test_the_tests_of_a_mode_and_those_of_a_file_stay_together():
    expected = {
        "test_x[embedded]": "embedded",
        "test_x[scale_out-/api/{}]": "scale_out",
        "test_x[multi_user-scale_out-7]": "scale_out",
        "TestX::test_x": FILE,
        "test_x[not embedded-a::b]": FILE,
        "test_embedded[x]": FILE,
    }

    assert {name: scope_of(f"{FILE}::{name}") for name in expected} == expected
