# The manifests for Kubernetes, against the schemas that the checker bundles. Read by run.

manifests=()
for file in deploy/kubernetes/base/*.yaml; do
    case $file in */kustomization.yaml) ;; *) manifests+=("$file") ;; esac
done
kubernetes-validate --strict --quiet "${manifests[@]}" || fail "manifests"
sed 's/terminationGracePeriodSeconds: 45/terminationGracePeriod: 45/' deploy/kubernetes/base/stateful-set.yaml \
    >"$work/broken.yaml"
refuses kubernetes-validate kubernetes-validate --strict --quiet "$work/broken.yaml"
pass "${#manifests[@]} manifests, by kubernetes-validate"

if have kubectl "the overlays of kustomize"; then
    for overlay in base tls; do
        # This reads files only.
        kubectl kustomize "deploy/kubernetes/$overlay" >"$work/$overlay.yaml" || fail "overlay $overlay"
        kubernetes-validate --strict --quiet "$work/$overlay.yaml" || fail "overlay $overlay"
    done
    "$venv/bin/python" tests/packaging/check_manifests.py "$work/base.yaml" "$work/tls.yaml" || fail "overlays"
    pass "the overlays of kustomize"
fi
