"""What of a workflow's outputs is said in a conversation."""

from chat.workflow_answers import BETWEEN, MAX_FILES, WorkflowAnswer

PICTURE = {"type": "image", "uri": "asset://a.png", "asset_id": "a"}
COMPLETED = {"type": "job_update", "status": "completed"}


def output(value, name="out", kind="str", **more):
    event = {"type": "output_update", "output_name": name, "output_type": kind}
    return {**event, "value": value, **more}


def chunk(text, **more):
    return output({"type": "chunk", "content": text, **more}, kind="chunk")


def said(*events):
    answer = WorkflowAnswer()
    return "".join(piece for event in events for piece in answer.pieces(event))


def test_whole_texts_stand_apart_and_pieces_follow_each_other():
    told = said(output("one"), chunk("tw"), chunk("o"), output("three"), output(""))

    assert told == BETWEEN.join(["one", "two", "three"])


def test_what_a_model_thinks_and_what_is_no_text_yet_is_left_out():
    assert said(chunk("hm", thinking=True), chunk("AA==", content_type="audio")) == ""
    assert said(output(None, kind="none"), COMPLETED) == ""


def test_of_other_values_the_last_counts_at_the_end_as_json():
    events = [output(1), output([2, {"a": None}]), output(True, "yes"), output("text")]

    assert said(*events) == "text"
    assert said(*events, COMPLETED) == 'text\n\n[2,{"a":null}]\n\ntrue'
    assert said(*events, {"type": "job_update", "status": "failed"}) == "text"


def test_files_are_no_text_and_are_kept_up_to_a_bound():
    answer = WorkflowAnswer()
    events = [output(PICTURE), output([PICTURE] * 2), *[output([PICTURE] * 60)] * 2]

    assert [answer.pieces(event) for event in [*events, COMPLETED]] == [[]] * 5
    assert answer.files == [PICTURE] * MAX_FILES


def test_what_only_looks_like_a_file_is_a_value():
    blank = {"type": "image", "uri": ""}

    assert said(output(blank), COMPLETED) == '{"type":"image","uri":""}'
    assert said(output([PICTURE, 1]), COMPLETED).startswith("[{")
    assert said(output([]), COMPLETED) == "[]"
