# The workflows of the forge. Read by run.

check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml || fail "workflows"
sed 's/runs-on:/run-on:/' .github/workflows/ci.yml >"$work/ci.yml"
refuses check-jsonschema check-jsonschema --quiet --builtin-schema vendor.github-workflows "$work/ci.yml"
zizmor --offline --quiet --no-progress --config .github/zizmor.yml .github/workflows || fail "workflows"
pass "workflows, by their schema and zizmor"
