"""The examples, as programs. Those whose libraries are not installed are skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import waywiser as ww

EXAMPLES = Path(__file__).parent.parent / "examples"


def run(*arguments: object) -> str:
    # A warning, such as that of a function that is replaced by another one, fails the test.
    command = [sys.executable, "-W", "error::UserWarning", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("points")
    run(EXAMPLES / "points.py", folder)
    return folder


@pytest.mark.parametrize("library", ["polars", "duckdb", "dask"])
def test_examples_print_the_lengths_of_one_table(library, folder):
    pytest.importorskip(library)
    files = sorted(folder.glob("*.parquet"))
    assert len(files) > 1
    points = pa.concat_tables(pq.read_table(file) for file in files)
    table = ww.by(*(points[name] for name in ("device", "time", "lon", "lat")))
    want = sorted(f"{row['key']} {row['length_m']!r}" for row in table.to_pylist())
    assert run(EXAMPLES / f"{library}_lengths.py", folder).splitlines() == want


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_without_arguments_prints_its_usage(program):
    library = program.stem.partition("_")[0]
    if library != "points":
        pytest.importorskip(library)
    ended = subprocess.run([sys.executable, program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"usage: python {program.name} FOLDER" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_notebook_runs(tmp_path, monkeypatch):
    nbformat, nbclient = (pytest.importorskip(name) for name in ("nbformat", "nbclient"))
    for name in ("matplotlib", "ipykernel"):
        pytest.importorskip(name)
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(EXAMPLES / "tracks.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # outputs are not stored
    # By default, outputs that arrive 4 s after the end of a cell are lost.
    limits = {"timeout": None, "startup_timeout": 600, "iopub_timeout": 600}
    client = nbclient.NotebookClient(notebook, **limits, resources={"metadata": {"path": str(EXAMPLES)}})
    client.execute()
    pictures = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 3
