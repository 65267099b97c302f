"""The lines for TLS of deploy/cluster/haproxy.cfg, as docs/cluster.md describes them."""

import signal

from certificates import make_ca, make_certificate
from clients import position
from programs import HAProxy, Server, wait_until

POINTS = 2_000


def the_lines_for_tls_encrypt_and_verify(cluster):
    """Records over TLS through HAProxy to servers with TLS. Their health checks work, and their names are verified."""
    folder = cluster.folder / "tls"
    make_ca(folder)
    # The certificate that clients see, and those of the servers, whose names are those in the file.
    make_certificate(folder, "DNS:localhost")
    servers = []
    for number in (1, 2):
        make_certificate(folder, f"DNS:server-{number}", f"server-{number}-")
        files = ["--tls-cert", folder / f"server-{number}-cert.pem", "--tls-key", folder / f"server-{number}-key.pem"]
        servers.append(Server(folder, f"server-{number}", [*cluster.store_arguments, *files]))
    haproxy = HAProxy(folder, servers, folder)
    processes = [haproxy, *servers]
    try:
        for server in servers:
            server.run()
            server.wait_until_ready()
        haproxy.run()
        expected = record(cluster, haproxy, folder, "paths/tls-both")
        for number, server in enumerate(servers):
            assert server.stop(signal.SIGTERM) == 0
            wait_until(lambda: haproxy.is_down(number), "the failed health check")
            assert record(cluster, haproxy, folder, f"paths/tls-without-{number}") == expected
            server.run()
            server.wait_until_ready()
            wait_until(lambda: haproxy.is_up(number), "the health check")
        refuse_plaintext(cluster, haproxy)
        # HAProxy refuses servers with the names of others, although their health checks succeed.
        swapped = HAProxy(folder / "swapped", servers[::-1], folder)
        processes.append(swapped)
        swapped.run()
        wait_until(lambda: swapped.is_up(0) and swapped.is_up(1), "the health checks of both servers")
        status, _, errors = record(cluster, swapped, folder, "paths/tls-swapped", check=False)
        assert status == 1 and "no server is ready" in errors, errors
        wait_until(lambda: swapped.is_up(0) and swapped.is_up(1), "the health checks after the refusal")
    finally:
        for process in processes:
            process.stop()


def record(cluster, haproxy, folder, name, check=True):
    """Records points over TLS. Returns what the program prints, or its status and messages if it may fail."""
    lines = "lon,lat\n" + "".join("{!r},{!r}\n".format(*position(number)) for number in range(POINTS))
    server = ["--server", f"https://localhost:{haproxy.port}", "--ca-file", folder / "ca.pem", "--name", name]
    options = [] if check else ["--retry-for", "1s"]
    options += ["--format", "csv", "--json", "-"]
    result = cluster.program("record", *server, *options, text=lines, check=check)
    return result[1].replace(name, "NAME") if check else result


def refuse_plaintext(cluster, haproxy):
    status, _, errors = cluster.program("paths", "list", "--server", f"http://localhost:{haproxy.port}", check=False)
    assert status == 1 and "it may speak TLS (https://)" in errors, errors
