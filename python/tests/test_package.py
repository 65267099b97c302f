"""The package as a whole."""

from __future__ import annotations

import subprocess
import sys


def test_importing_is_light():
    heavy = "('pyarrow', 'pandas', 'shapely', 'geopandas')"
    program = f"import sys, waywiser; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", program], text=True) == "[]\n"


def test_the_version_is_that_of_the_distribution():
    import importlib.metadata

    import waywiser

    assert waywiser.__version__ == importlib.metadata.version("waywiser")


def test_the_stubs_of_the_contract_can_be_imported_too(tmp_path):
    stubs = tmp_path / "waywiser" / "v1"
    stubs.mkdir(parents=True)
    (stubs / "path_pb2.py").write_text("Point = 'a message'\n")
    program = "import waywiser, waywiser.v1.path_pb2 as pb; print(pb.Point, waywiser.length([1.0], [1.0]))"
    output = subprocess.check_output([sys.executable, "-c", program], cwd=tmp_path, text=True)
    assert output == "a message 0.0\n"


def test_all_public_names_have_documentation():
    import waywiser

    for name in waywiser.__all__:
        if name == "__version__":
            continue
        assert getattr(waywiser, name).__doc__, name
