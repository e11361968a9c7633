"""Tests that run the notebooks as their users do: papermill, and a JupyterLab server."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import get_args

import nbformat
import pytest
import websocket

from tests.kernels import ROOT, papermill
from tests.study.outputs import assert_shown, complaints
from xbmlib.study.plan import STUDIES
from xbmlib.study.statistics import Outcome

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(smoke, tmp_path_factory):
    """A copy of what `python -m xbmlib.study smoke` writes, and what it prints."""
    root, printed = smoke
    return shutil.copytree(root, tmp_path_factory.mktemp("study") / "root"), printed


@pytest.fixture(scope="module")
def root(study):
    """A separate root for results and figures, in which the study has run."""
    return study[0]


@pytest.mark.parametrize("name", STUDIES)
def test_figure(name, study):
    """Oracle: the files that the README promises, which the notebook shows without a warning.

    Each verdict is on the console too.
    """
    root, printed = study
    for kind in ("svg", "png", "csv"):
        assert (root / "figures" / "smoke" / f"{name}.{kind}").stat().st_size > 100
    verdicts = json.loads((root / "results" / "verdicts" / "smoke" / f"{name}.json").read_text())
    assert verdicts
    for v in verdicts:
        assert v["outcome"] in get_args(Outcome)
        assert f"[{v['outcome']}] {v['claim']}" in printed
    executed = nbformat.read(root / "results" / "notebooks" / "smoke" / f"{name}.ipynb", 4)
    assert all(c.execution_count for c in executed.cells if c.cell_type == "code")
    assert complaints(executed) == []
    exported = (root / "figures" / "smoke").glob("*.png")
    assert_shown(executed, [p for p in exported if f"{p.stem}_".startswith(f"{name}_")])


@pytest.mark.parametrize("cwd", [ROOT, ROOT / "notebooks"], ids=["root", "notebooks"])
def test_any_folder_and_no_second_training(cwd, root, tmp_path):
    """Oracle: the CSV of a second run elsewhere equals the study's; the store did not grow."""
    csv = root / "figures" / "smoke" / "ablation_memory_ratio.csv"
    arguments = (tmp_path / "out.ipynb", root, "-p", "profile", "smoke")
    notebook = ROOT / "notebooks" / "ablation_memory_ratio.ipynb"
    first, runs = csv.read_text(), sorted((root / "results" / "runs").iterdir())
    csv.unlink()
    assert papermill(notebook, *arguments, cwd=cwd).returncode == 0
    assert csv.read_text() == first
    assert sorted((root / "results" / "runs").iterdir()) == runs


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (("-p", "ratio", "2"), "ratio=2: input should be less than or equal to 1"),
        (("-p", "ratio", "x"), "ratio='x': input should be a valid number"),
        (("-y", "{ratio: 1e-3}"), "ratio='1e-3': input should be a valid number"),
        (("-p", "rato", "0.1"), "rato=0.1: no such parameter; did you mean ratio?"),
        (("-p", "profile", "huge"), "profile='huge'"),
        (("-p", "seeds", "0"), "seeds=0"),
    ],
)
def test_bad_parameters_are_refused(parameters, message, root, tmp_path):
    """Oracle: a non-zero exit and a message that names the value; nothing was trained."""
    done = papermill(
        ROOT / "notebooks" / "ablation_memory_ratio.ipynb",
        tmp_path / "o.ipynb",
        root / "none",
        *parameters,
    )
    assert done.returncode != 0
    assert message in done.stderr
    assert not (root / "none").exists()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_notebooks_are_clean(path):
    """Oracle: the conventions: no outputs, kernel python3, one flat parameters cell."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    code = [c for c in notebook.cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in code)
    (parameters,) = (c for c in code if "parameters" in c.metadata.get("tags", []))
    assert parameters is code[0]
    for line in parameters.source.splitlines():
        assert line.split("#")[0].count("=") == 1 and "# " in line


class Jupyter:
    """A JupyterLab server and one kernel session on it."""

    def __init__(self, root):
        self.token = uuid.uuid4().hex
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "jupyterlab",
                "--no-browser",
                "--allow-root",
                "--ServerApp.port=0",
                f"--IdentityProvider.token={self.token}",
                f"--ServerApp.root_dir={ROOT}",
            ],
            env=os.environ | {"XBM_ROOT": str(root), "JUPYTER_RUNTIME_DIR": str(root / "runtime")},
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 90
        while not (found := list((root / "runtime").glob("jpserver-*.json"))):
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.2)
        self.url = json.loads(found[0].read_text())["url"]

    def get(self, path, body=None):
        """GET, or POST a body; JSON where the answer is."""
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode() if body else None,
            {"Authorization": f"token {self.token}", "Content-Type": "application/json"},
        )
        for _ in range(50):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read().decode()
                    kind = answer.headers["Content-Type"]
                    return json.loads(text) if "json" in kind else text
            except urllib.error.URLError as error:
                if isinstance(error, urllib.error.HTTPError):
                    raise
                time.sleep(0.2)
        raise AssertionError("no answer from the server")

    def session(self, path):
        """A kernel for a notebook, as the page starts one: its id."""
        body = {"path": path, "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        return self.get("api/sessions", body)["kernel"]["id"]

    def sources(self, path, profile="smoke"):
        """The code of a notebook, its profile edited as a reader does."""
        cells = self.get(f"api/contents/{path}")["content"]["cells"]
        first, *rest = [c["source"] for c in cells if c["cell_type"] == "code"]
        return [first.replace('"full"', f'"{profile}"'), *rest]

    def connect(self, kernel):
        """A web socket to a kernel."""
        return websocket.create_connection(
            f"{self.url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels",
            header=[f"Authorization: token {self.token}"],
            timeout=180,
        )

    def execute(self, kernel, sources):
        """Run cells one after the other; the messages of each."""
        socket = self.connect(kernel)
        outputs = []
        for source in sources:
            content = {
                "code": source,
                "silent": False,
                "store_history": True,
                "allow_stdin": False,
                "stop_on_error": True,
                "user_expressions": {},
            }
            id = send(socket, "execute_request", content)
            messages = []
            while True:
                message = read(socket)
                if message["parent_header"].get("msg_id") != id:
                    continue
                messages.append(message)
                content, kind = message["content"], message["header"]["msg_type"]
                if kind == "status" and content["execution_state"] == "idle":
                    break
            outputs.append(messages)
        socket.close()
        return outputs


def send(socket, kind, content):
    """Send a message on the shell channel; its id."""
    header = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "version": "5.3",
        "username": "",
        "session": "test",
    }
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
    socket.send(json.dumps(message | {"channel": "shell", "buffers": []}))
    return header["msg_id"]


def read(socket):
    """The next message; one with buffers starts with their number and places."""
    raw = socket.recv()
    if isinstance(raw, str):
        return json.loads(raw)
    number = int.from_bytes(raw[:4], "big")
    starts = [int.from_bytes(raw[4 * i : 4 * i + 4], "big") for i in range(1, number + 1)]
    text, *buffers = (
        raw[one:two] for one, two in zip(starts, [*starts[1:], len(raw)], strict=True)
    )
    return json.loads(text) | {"buffers": buffers}


@pytest.fixture(scope="module")
def jupyter(root):
    """A running server, stopped after the last test; the runs of profile full are there too."""
    for run in (ROOT / "results" / "runs").iterdir():
        (root / "results" / "runs" / run.name).symlink_to(run)
    server = Jupyter(root)
    yield server
    server.process.terminate()
    server.process.wait(20)


def test_in_a_real_jupyterlab_server(jupyter, root):
    """Oracle: the server's own pages and kernel: no cell fails, the last shows verdicts."""
    path = "notebooks/valid_negatives.ipynb"
    assert "jupyter" in jupyter.get(f"lab/tree/{path}").lower()
    outputs = jupyter.execute(jupyter.session(path), jupyter.sources(path))
    errors = [m for cell in outputs for m in cell if m["header"]["msg_type"] == "error"]
    assert not errors, errors
    kinds = [set(m["content"].get("data", {})) for cell in outputs for m in cell]
    assert any("image/png" in kind for kind in kinds)
    verdicts, words = outputs[-2:]
    shown = [m["content"]["data"]["text/html"] for m in verdicts if "data" in m["content"]]
    assert "our memory module steadily contributes" in shown[-1]
    (said,) = [m["content"]["data"]["text/markdown"] for m in words if "data" in m["content"]]
    assert "Verdicts on the paper's claims" in said


@pytest.mark.parametrize(
    ("name", "menu", "profile"),
    [
        ("ablation_memory_ratio", "R_M", "smoke"),
        ("drift_curves", "Δt", "smoke"),
        ("scaling", "GPUs", None),
        # At other profiles none of its menus has a second choice.
        ("training_length", "length", "full"),
    ],
)
def test_a_menu_in_a_real_jupyterlab_server(name, menu, profile, jupyter, root):
    """Oracle: the widget's protocol: another choice of a menu comes back as another PNG."""
    path = f"notebooks/{name}.ipynb"
    stored = len(list((root / "results" / "runs").iterdir()))
    kernel, sources = jupyter.session(path), jupyter.sources(path, profile)
    until = next(i for i, source in enumerate(sources) if "widgets.explore" in source)
    messages = jupyter.execute(kernel, sources[: until + 1])[-1]
    (shown,) = [m["content"]["data"] for m in messages if "data" in m["content"] and
                "application/vnd.jupyter.widget-view+json" in m["content"]["data"]]  # fmt: skip
    models = [m["content"] for m in messages if m["header"]["msg_type"] == "comm_open"]
    states = {m["comm_id"]: m["data"]["state"] for m in models}
    (image,) = [id for id, state in states.items() if state["_model_name"] == "ImageModel"]
    (chosen,) = [id for id, state in states.items() if state.get("description") == menu]
    socket = jupyter.connect(kernel)
    update = {"method": "update", "state": {"index": 1}, "buffer_paths": []}
    send(socket, "comm_msg", {"comm_id": chosen, "data": update})
    while True:
        message = read(socket)
        if message["content"].get("comm_id") == image and message.get("buffers"):
            break
    socket.close()
    (png,) = message["buffers"]
    assert message["content"]["data"]["buffer_paths"] == [["value"]]
    assert png.startswith(b"\x89PNG") and png != base64.b64decode(shown["image/png"])
    assert len(list((root / "results" / "runs").iterdir())) == stored
