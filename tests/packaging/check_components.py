"""Checks that a list of components is valid and has each crate that the program is built from."""

import json
import subprocess
import sys

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

with open(sys.argv[1], encoding="utf-8") as file:
    text = file.read()
error = JsonStrictValidator(SchemaVersion.V1_5).validate_str(text)
assert error is None, error
components = json.loads(text)["components"]
listed = {(component["name"], component["version"]) for component in components}

tree = ["cargo", "tree", "--locked", "--offline", "--edges", "normal", "--prefix", "none", "--format", "{p}"]
lines = subprocess.run(tree, check=True, capture_output=True, text=True).stdout.splitlines()
built = {(words[0], words[1].removeprefix("v")) for line in lines if (words := line.split())}
built = {crate for crate in built if crate[0] != "waywiser"}
assert len(built) > 100, len(built)
assert built <= listed, sorted(built - listed)
without_licence = sorted(component["name"] for component in components if not component.get("licenses"))
assert not without_licence, without_licence
