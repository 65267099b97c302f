# The workflows of the forge. Read by run.

check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml || fail "workflows"
sed 's/runs-on:/run-on:/' .github/workflows/ci.yml >"$work/ci.yml"
refuses check-jsonschema check-jsonschema --quiet --builtin-schema vendor.github-workflows "$work/ci.yml"
zizmor --offline --quiet --no-progress .github/workflows || fail "workflows"
# Actions are pinned by the hash of a commit, because a tag can be moved.
sed -E 's/@[0-9a-f]{40} # (v[0-9]+).*/@\1/' .github/workflows/release.yml >"$work/release.yml"
refuses zizmor zizmor --offline --quiet --no-progress "$work/release.yml"
grep -q unpinned-uses "$work/refused" || fail "zizmor does not refuse tags"
pass "workflows, by their schema and zizmor"
