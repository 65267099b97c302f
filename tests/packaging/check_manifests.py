"""Checks what the schemas of Kubernetes cannot check: names that refer to each other, ports, times and settings."""

import sys
import tomllib

import yaml


def check(path):
    with open(path, encoding="utf-8") as file:
        documents = [document for document in yaml.safe_load_all(file) if document]
    by_kind = {document["kind"]: document for document in documents}
    workload = by_kind["StatefulSet"]["spec"]
    pod = workload["template"]["spec"]
    (container,) = pod["containers"]
    settings = tomllib.loads(by_kind["ConfigMap"]["data"]["waywiser.toml"])

    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert settings["listen"].endswith(f":{ports['grpc']}"), settings["listen"]
    assert settings["admin-listen"].endswith(f":{ports['admin']}"), settings["admin-listen"]
    for port in by_kind["Service"]["spec"]["ports"]:
        assert port["targetPort"] in ports, port
    for rule in by_kind["NetworkPolicy"]["spec"]["ingress"]:
        for port in rule["ports"]:
            assert port["port"] in ports, port

    # The kubelet does not speak TLS in gRPC probes.
    for name in ["startupProbe", "readinessProbe", "livenessProbe"]:
        probe = container[name]
        assert ("grpc" in probe) != ("httpGet" in probe), probe
        if "grpc" in probe:
            assert "tls-cert" not in settings and probe["grpc"]["port"] == ports["grpc"], probe
        else:
            assert probe["httpGet"]["port"] in ports and probe["httpGet"]["path"] in ["/readyz", "/healthz"], probe

    volumes = {volume["name"] for volume in pod["volumes"]}
    volumes |= {claim["metadata"]["name"] for claim in workload["volumeClaimTemplates"]}
    mounts = {mount["mountPath"]: mount for mount in container["volumeMounts"]}
    assert {mount["name"] for mount in mounts.values()} == volumes, (mounts, volumes)
    assert settings["data-dir"] in mounts and not mounts[settings["data-dir"]].get("readOnly")
    for key in ["tls-cert", "tls-key", "tokens"]:
        if key in settings:
            assert settings[key].rpartition("/")[0] in mounts, settings[key]
    secrets = [volume["secret"] for volume in pod["volumes"] if "secret" in volume]
    assert all(secret["defaultMode"] == 0o440 for secret in secrets), secrets
    (config,) = [volume["configMap"]["name"] for volume in pod["volumes"] if "configMap" in volume]
    assert config == by_kind["ConfigMap"]["metadata"]["name"], config

    drain_s = int(settings["drain-timeout"].removesuffix("s"))
    assert drain_s + 10 < pod["terminationGracePeriodSeconds"]
    assert pod["enableServiceLinks"] is False and workload["replicas"] == 1
    labels = workload["template"]["metadata"]["labels"].items()
    for selector in [
        workload["selector"]["matchLabels"],
        by_kind["Service"]["spec"]["selector"],
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]:
        assert selector.items() <= labels, selector
    # Access without credentials is for the base only.
    assert ("tokens" in settings and "tls-cert" in settings) != settings.get("insecure", False)


for path in sys.argv[1:]:
    check(path)
