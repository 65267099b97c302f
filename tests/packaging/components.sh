# The list of components (SBOM) in the format CycloneDX. Read by run.

if have cargo-cyclonedx "the list of components"; then
    # The tool writes next to the manifest.
    cargo cyclonedx --quiet --format json --spec-version 1.5 --override-filename waywiser.cdx
    mv waywiser.cdx.json "$work/"
    "$venv/bin/python" tests/packaging/check_components.py "$work/waywiser.cdx.json" || fail "the list of components"
    pass "the list of components"
fi
