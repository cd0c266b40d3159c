"""Pictures and files in runs of a running server, in both modes."""

import io
import json

from PIL import Image

from tests.end_to_end.graphs import edge, node, output
from tests.nodes.harness import reference


def picture(size: tuple[int, int] = (64, 32)) -> dict:
    """Return a value that holds a picture."""
    file = io.BytesIO()
    Image.effect_noise(size, 90).save(file, "PNG")
    return reference(file.getvalue())


def path_of(value: dict) -> str:
    """Return where a client finds what a value refers to."""
    return "/storage/" + value["uri"].partition("/storage/")[2]


def resizing() -> dict:
    image = node("in", "nodetool.input.ImageInput", name="image")
    resize = node("resize", "nodetool.image.Resize", width=8, height=0)
    save = node("save", "nodetool.image.SaveImage", name="small.png")
    return {
        "nodes": [image, resize, save, output("image")],
        "edges": [
            edge("in", "resize", "image"),
            edge("resize", "save", "image"),
            edge("save", "out"),
        ],
    }


async def test_a_picture_is_resized_kept_and_sent_by_reference(api):
    workflow = await api.create_workflow(resizing())
    events = await api.run_stream(workflow["id"], {"image": picture()})

    [update] = [event for event in events if event["type"] == "save_update"]
    result = events[-1]["result"]["outputs"]["image"][0]
    file = await api.get(path_of(result))
    again = await api.run(workflow["id"], {"image": result})

    assert events[-1]["status"] == "completed"
    assert (update["node_id"], update["name"]) == ("save", "small.png")
    assert update["value"]["asset_id"] == result["asset_id"]
    assert update["output_type"] == "image"
    assert Image.open(io.BytesIO(file.content)).size == (8, 4)
    assert again.status == 200
    made = [e for e in events if e["type"] == "node_update" and e["result"]]
    assert made
    assert all("data:" not in json.dumps(event["result"]) for event in made)


async def test_a_hostile_picture_fails_its_job_and_the_next_one_runs(api):
    workflow = await api.create_workflow(resizing())
    hostile = reference(b"\x89PNG\r\n\x1a\n" + bytes(100))

    refused = await api.run(workflow["id"], {"image": hostile})
    good = await api.run(workflow["id"], {"image": picture()})

    assert refused.status == 500
    assert refused.json["error"].startswith("Resize: ")
    assert good.status == 200


async def test_a_workspace_is_shared_by_the_runs_of_its_user(api):
    path = "notes/übung.txt"
    write = node("write", "nodetool.workspace.WriteTextFile", path=path, content="hi")
    read = node("read", "nodetool.workspace.ReadTextFile", path=path)
    writing = await api.create_workflow({"nodes": [write], "edges": []})
    reading = await api.create_workflow(
        {"nodes": [read, output()], "edges": [edge("read", "out")]}
    )

    first = await api.run(writing["id"])
    second = await api.run(reading["id"])

    assert (first.status, second.status) == (200, 200)
    assert second.json["text"] == "hi"


async def test_h07_a_workflow_reads_nothing_beside_the_workspace(api):
    for path in ("../../../../etc/passwd", "/etc/passwd", "a/../../x", "..\\x"):
        read = node("read", "nodetool.workspace.ReadTextFile", path=path)
        workflow = await api.create_workflow({"nodes": [read], "edges": []})

        answer = await api.run(workflow["id"])

        assert answer.status == 500
        assert "root:" not in answer.content.decode()
        assert answer.json["error"].startswith("Read Text File: ")
