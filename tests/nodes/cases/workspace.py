"""Cases of the workspace's files."""

from tests.nodes.cases.images import TWO, is_file
from tests.nodes.harness import Case, Where, reference

VIDEO = reference(b"\0\0\0\x20ftypisom", "video/mp4")
TREE = {"a.txt": b"one", "b/c.txt": b"two", "b/d.md": b"three"}
LEAVES = "'..' is not allowed: paths stay in the workspace"

CASES = [
    Case(
        node_type="nodetool.workspace.GetWorkspaceDir",
        expect={"output": [Where(lambda text: text.endswith("/workspace"))]},
    ),
    Case(
        node_type="nodetool.workspace.ListWorkspaceFiles",
        data={"pattern": "*.txt", "recursive": True},
        files=TREE,
        expect={"file": ["a.txt", "b/c.txt"]},
    ),
    Case(
        node_type="nodetool.workspace.ListWorkspaceFiles",
        data={"path": "b"},
        files=TREE,
        expect={"file": ["b/c.txt", "b/d.md"]},
    ),
    Case(
        node_type="nodetool.workspace.ListWorkspaceFiles",
        data={"path": "../"},
        error=LEAVES,
    ),
    Case(
        node_type="nodetool.workspace.ReadTextFile",
        data={"path": "b/c.txt"},
        files=TREE,
        expect={"output": ["two"]},
    ),
    Case(
        node_type="nodetool.workspace.ReadTextFile",
        data={"path": "a.txt", "encoding": "latin-1"},
        files={"a.txt": b"\xfc"},
        expect={"output": ["ü"]},
    ),
    Case(
        node_type="nodetool.workspace.ReadTextFile",
        data={"path": "a.txt", "encoding": "rot13"},
        files=TREE,
        error="'rot13' is no text encoding: use utf-8",
    ),
    Case(
        node_type="nodetool.workspace.ReadTextFile",
        data={"path": "none.txt"},
        error="'none.txt' is not in the workspace",
    ),
    Case(
        node_type="nodetool.workspace.WriteTextFile",
        data={"path": "new/a.txt", "encoding": "utf-16-le"},
        constants={"content": "ü"},
        expect={"output": ["new/a.txt"]},
        leaves={"new/a.txt": b"\xfc\0"},
    ),
    Case(
        node_type="nodetool.workspace.WriteTextFile",
        data={"path": "a.txt", "append": True},
        streams={"content": ["+", "-"]},
        files={"a.txt": b"one"},
        expect={"output": ["a.txt", "a.txt"]},
        leaves={"a.txt": b"one+-"},
    ),
    Case(
        node_type="nodetool.workspace.WriteTextFile",
        data={"path": "a.txt", "content": "ü", "encoding": "ascii"},
        error="content cannot be written as ascii ('ascii' codec can't encode "
        "character '\\xfc' in position 0: ordinal not in range(128)): use utf-8",
        leaves={},
    ),
    Case(
        node_type="nodetool.workspace.ReadBinaryFile",
        data={"path": "a.bin"},
        files={"a.bin": b"\0\xff"},
        expect={"output": ["AP8="]},
    ),
    Case(
        node_type="nodetool.workspace.WriteBinaryFile",
        data={"path": "a.bin", "content": "AP\n8="},
        expect={"output": ["a.bin"]},
        leaves={"a.bin": b"\0\xff"},
    ),
    Case(
        node_type="nodetool.workspace.WriteBinaryFile",
        data={"path": "a.bin", "content": "no base64!"},
        error="content is not base64 (Only base64 data is allowed)",
        leaves={},
    ),
    Case(
        node_type="nodetool.workspace.DeleteWorkspaceFile",
        data={"path": "b", "recursive": True},
        files=TREE,
        leaves={"a.txt": b"one"},
    ),
    Case(
        node_type="nodetool.workspace.DeleteWorkspaceFile",
        data={"path": "b"},
        files=TREE,
        error="'b' is a folder: set recursive to delete it with all it holds",
        leaves=TREE,
    ),
    Case(
        node_type="nodetool.workspace.CreateWorkspaceDirectory",
        data={"path": "x/y"},
        expect={"output": ["x/y"]},
    ),
    Case(
        node_type="nodetool.workspace.WorkspaceFileExists",
        streams={"path": ["a.txt", "b", "c", "a.txt/x"]},
        files=TREE,
        expect={"output": [True, True, False, False]},
    ),
    Case(
        node_type="nodetool.workspace.IsWorkspaceFile",
        streams={"path": ["a.txt", "b", "c"]},
        files=TREE,
        expect={"output": [True, False, False]},
    ),
    Case(
        node_type="nodetool.workspace.IsWorkspaceDirectory",
        streams={"path": ["a.txt", "b", "c", "."]},
        files=TREE,
        expect={"output": [False, True, False, True]},
    ),
    Case(
        node_type="nodetool.workspace.GetWorkspaceFileInfo",
        data={"path": "b/c.txt"},
        files=TREE,
        expect={
            "output": [
                {
                    "path": "b/c.txt",
                    "name": "c.txt",
                    "size": 3,
                    "is_file": True,
                    "is_directory": False,
                    **dict.fromkeys(
                        ("created", "modified", "accessed"),
                        Where(lambda text: text.startswith("20")),
                    ),
                }
            ]
        },
    ),
    Case(
        node_type="nodetool.workspace.GetWorkspaceFileInfo",
        data={"path": "x"},
        error="'x' is not in the workspace",
    ),
    Case(
        node_type="nodetool.workspace.GetWorkspaceFileSize",
        data={"path": "b/d.md"},
        files=TREE,
        expect={"output": [5]},
    ),
    Case(
        node_type="nodetool.workspace.GetWorkspaceFileSize",
        data={"path": "b"},
        files=TREE,
        error="'b' is a folder",
    ),
    Case(
        node_type="nodetool.workspace.CopyWorkspaceFile",
        data={"source": "b", "destination": "x/y"},
        files=TREE,
        expect={"output": ["x/y"]},
        leaves={**TREE, "x/y/c.txt": b"two", "x/y/d.md": b"three"},
    ),
    Case(
        node_type="nodetool.workspace.CopyWorkspaceFile",
        data={"source": "a.txt", "destination": "../a.txt"},
        files=TREE,
        error=LEAVES,
    ),
    Case(
        node_type="nodetool.workspace.MoveWorkspaceFile",
        data={"source": "a.txt", "destination": "b/c.txt"},
        files=TREE,
        expect={"output": ["b/c.txt"]},
        leaves={"b/c.txt": b"one", "b/d.md": b"three"},
    ),
    Case(
        node_type="nodetool.workspace.JoinWorkspacePaths",
        data={"paths": ["a", "./b/", "c.txt"]},
        expect={"output": ["a/b/c.txt"]},
    ),
    Case(
        node_type="nodetool.workspace.JoinWorkspacePaths",
        data={"paths": ["a", "/etc"]},
        error="'/etc' is absolute: paths begin in the workspace",
    ),
    Case(
        node_type="nodetool.workspace.SaveImageFile",
        constants={"image": TWO},
        data={"folder": "out", "filename": "a.gif"},
        expect={"output": [TWO]},
        leaves={"out/a.gif": is_file("GIF", (8, 4))},
    ),
    Case(
        node_type="nodetool.workspace.SaveVideoFile",
        constants={"video": VIDEO},
        data={"folder": "out"},
        expect={"output": [VIDEO]},
        leaves={"out/video.mp4": b"\0\0\0\x20ftypisom"},
    ),
    Case(
        node_type="nodetool.workspace.SaveVideoFile",
        constants={"video": VIDEO},
        data={"filename": "a.mp4"},
        files={"a.mp4": b"there"},
        error="'a.mp4' is there already",
        leaves={"a.mp4": b"there"},
    ),
]
