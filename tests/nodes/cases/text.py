"""What the text nodes do with other than default input."""

from tests.nodes.harness import Case

CASES = [
    Case(
        node_type="nodetool.text.Concat",
        data={"a": "Hello, "},
        constants={"b": "Wörld"},
        expect={"output": ["Hello, Wörld"]},
    ),
    Case(
        node_type="nodetool.text.Join",
        data={"strings": ["a", 1, None], "separator": "-"},
        expect={"output": ["a-1-None"]},
    ),
    Case(
        node_type="nodetool.text.Collect",
        data={"separator": ", "},
        streams={"input_item": ["a", "", "b"]},
        expect={"output": ["a, , b"]},
    ),
    Case(
        node_type="nodetool.text.FormatText",
        data={"template": "{{ Name|upper }} is {age}. {{ missing }}{other}"},
        dynamic={"name": "Ada", "AGE": 36},
        expect={"output": ["ADA is 36. {other}"]},
    ),
    Case(
        node_type="nodetool.text.ToUppercase",
        streams={"text": ["straße", "ß"]},
        expect={"output": ["STRASSE", "SS"]},
    ),
    Case(
        node_type="nodetool.text.ToLowercase",
        data={"text": "ÄB"},
        expect={"output": ["äb"]},
    ),
    Case(
        node_type="nodetool.text.TrimWhitespace",
        data={"text": " \tx\n", "trim_end": False},
        expect={"output": ["x\n"]},
    ),
    Case(
        node_type="nodetool.text.Split",
        data={"text": "a--b-", "delimiter": "-"},
        expect={"output": [["a", "", "b", ""]]},
    ),
    Case(
        node_type="nodetool.text.Replace",
        data={"text": "aaa.", "old": "aa", "new": "b"},
        expect={"output": ["ba."]},
    ),
    Case(
        node_type="nodetool.text.RegexReplace",
        data={"text": "a1b22", "pattern": r"(\d+)", "replacement": r"<\1>", "count": 1},
        expect={"output": ["a<1>b22"]},
    ),
    Case(
        node_type="nodetool.text.FindAllRegex",
        data={"text": "Ab\nab", "regex": "^a.", "ignorecase": True, "multiline": True},
        expect={"output": [["Ab", "ab"]]},
    ),
    Case(
        node_type="nodetool.text.Length",
        data={"text": " one\n\ntwo words ", "measure": "words"},
        expect={"output": [3]},
    ),
    Case(
        node_type="nodetool.text.HasLength",
        data={"min_length": 2, "max_length": 3},
        streams={"text": ["a", "ab", "abc", "abcd"]},
        expect={"output": [False, True, True, False]},
    ),
    Case(
        node_type="nodetool.text.Contains",
        data={
            "text": "The Quick Fox",
            "search_values": ["quick", "fox"],
            "case_sensitive": False,
            "match_mode": "all",
        },
        expect={"output": [True]},
    ),
    Case(
        node_type="nodetool.text.FilterString",
        data={"filter_type": "starts_with", "criteria": "a"},
        streams={"value": ["ab", "ba", "a"]},
        expect={"output": ["ab", "a"]},
    ),
]
