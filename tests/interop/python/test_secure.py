"""TLS, client certificates, tokens and JSON Web Tokens, with grpcio, openssl, grpcurl and Node."""

import datetime
import json
import os
import pathlib
import subprocess
import types

import grpc
import jwt
import pytest
from conftest import error_info, error_of, own_server
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pki import Authority
from waywiser.v1 import path_pb2 as pb
from waywiser.v1 import path_pb2_grpc

SERVING = health_pb2.HealthCheckResponse.SERVING
ISSUER, AUDIENCE = "https://issuer.example", "waywiser"
KEYS = {"RS256": rsa.generate_private_key(65537, 2048), "ES256": ec.generate_private_key(ec.SECP256R1())}
LOCALHOST = "DNS:localhost,IP:127.0.0.1"


def key_set():
    keys = []
    for algorithm, key in KEYS.items():
        public = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
        keys.append({**public, "kid": algorithm, "alg": algorithm, "use": "sig"})
    return {"keys": keys}


def modulus():
    """Returns the public bytes of the RSA key."""
    return KEYS["RS256"].public_key().public_numbers().n.to_bytes(256, "big")


def json_web_token(subject, algorithm="ES256", key=None, starts_s=-60, ends_s=600, **claims):
    now = datetime.datetime.now(datetime.timezone.utc)
    claims = {"sub": subject, "iss": ISSUER, "aud": AUDIENCE, **claims}
    claims["nbf"] = now + datetime.timedelta(seconds=starts_s)
    claims["exp"] = now + datetime.timedelta(seconds=ends_s)
    return jwt.encode(claims, key or KEYS.get(algorithm), algorithm, headers={"kid": algorithm})


def new_token(folder, name, *arguments):
    """Adds a principal to tokens.toml, and returns its token."""
    command = [os.environ["WAYWISER"], "token", "new", "--name", name, "--append", "tokens.toml", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def secure(tmp_path_factory):
    """Starts a server with TLS, optional client certificates, tokens and a key set."""
    folder = tmp_path_factory.mktemp("secure")
    ca, other_ca = Authority(folder / "ca"), Authority(folder / "other-ca")
    ca.issue("server", LOCALHOST)
    (folder / "keys.json").write_text(json.dumps(key_set()))
    tokens = {
        name: new_token(folder, name, *arguments)
        for name, arguments in {
            "van-7": ["--namespace", "acme"],
            "rover": ["--namespace", "umbrella"],
            "screen": ["--namespace", "acme", "--role", "reader"],
            "fired": ["--namespace", "acme"],
        }.items()
    }
    with (folder / "tokens.toml").open("a") as file:
        names = {"van-8": "spiffe://example.org/van-8", "van-9": "van-9.example.org", "node": "node.example.org"}
        for name, certificate in names.items():
            entry = f'name = "{name}"\nnamespace = "{name}"\ncertificate_names = ["{certificate}"]'
            file.write(f"\n[[principal]]\n{entry}\n")
    arguments = ["--tls-cert", ca.folder / "server.pem", "--tls-key", ca.folder / "server.key"]
    arguments += ["--tls-client-ca", ca.root, "--tokens", folder / "tokens.toml"]
    arguments += ["--jwks", folder / "keys.json", "--jwt-issuer", ISSUER, "--jwt-audience", AUDIENCE]
    with own_server("127.0.0.1:0", *map(str, arguments)) as server:
        yield types.SimpleNamespace(address=server.address, folder=folder, ca=ca, other_ca=other_ca, tokens=tokens)


def connect(secure, token=None, root=None, identity=(None, None), address=None):
    credentials = grpc.ssl_channel_credentials((root or secure.ca.root).read_bytes(), *identity)
    if token is not None:
        credentials = grpc.composite_channel_credentials(credentials, grpc.access_token_call_credentials(token))
    # Each channel makes a connection of its own.
    return grpc.secure_channel(address or secure.address, credentials, [("grpc.use_local_subchannel_pool", 1)])


def record(channel, name, count):
    """Records this many points with legs of 5, in one message each, and returns the length."""
    planar = pb.PathOptions(model=pb.MODEL_PLANAR)
    requests = [pb.RecordPathRequest(name=name, options=planar)]
    requests += [pb.RecordPathRequest(points=[pb.Point(x=3 * i, y=4 * i)]) for i in range(count)]
    requests.append(pb.RecordPathRequest(finish_write=True))
    return path_pb2_grpc.PathServiceStub(channel).RecordPath(iter(requests)).summary.length


def read(channel, name):
    return path_pb2_grpc.PathServiceStub(channel).GetPath(pb.GetPathRequest(name=name)).path


def check_refused(channel, code=grpc.StatusCode.UNAUTHENTICATED):
    error = error_of(lambda: read(channel, "paths/any"))
    assert error.code() == code, error.details()
    return error


def test_a_token_records_and_reads_over_tls(secure):
    with connect(secure, secure.tokens["van-7"]) as channel:
        assert record(channel, "paths/token", 1001) == 5000
        assert read(channel, "paths/token").name == "paths/token"


def test_health_needs_no_token_and_other_calls_do(secure):
    with connect(secure) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == SERVING
        error_info(check_refused(channel))


@pytest.mark.parametrize("token", ["", "x", "x" * 5000, "a.b.c"])
def test_an_unknown_token_is_unauthenticated(secure, token):
    with connect(secure, token) as channel:
        error = check_refused(channel)
        error_info(error)
        assert len(token) < 2 or token not in error.details()


def test_a_token_sees_only_its_namespace(secure):
    with connect(secure, secure.tokens["van-7"]) as van, connect(secure, secure.tokens["rover"]) as rover:
        assert record(van, "paths/same-name", 3) == 10
        missing = check_refused(rover, grpc.StatusCode.NOT_FOUND)
        foreign = error_of(lambda: read(rover, "paths/same-name"))
        assert foreign.details() == missing.details().replace("paths/any", "paths/same-name")
        assert record(rover, "paths/same-name", 5) == 20
        assert read(van, "paths/same-name").summary.length == 10
        error = error_of(lambda: read(rover, "namespaces/acme/paths/same-name"))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_reader_reads_and_cannot_record(secure):
    with connect(secure, secure.tokens["van-7"]) as writer, connect(secure, secure.tokens["screen"]) as reader:
        record(writer, "paths/shown", 2)
        assert read(reader, "paths/shown").summary.length == 5
        error = error_of(lambda: record(reader, "paths/shown-too", 2))
        assert error.code() == grpc.StatusCode.PERMISSION_DENIED
        error_info(error)


def test_a_removed_token_ends_the_open_call_and_is_refused(secure):
    with connect(secure, secure.tokens["fired"]) as channel:
        record(channel, "paths/fired", 2)
        watch = path_pb2_grpc.PathServiceStub(channel).WatchPath(
            pb.WatchPathRequest(name="paths/not-yet", allow_missing=True)
        )
        # The start of the reply shows that the server has accepted the token.
        watch.initial_metadata()
        file = secure.folder / "tokens.toml"
        entries = file.read_text().split("[[principal]]")
        kept = [entry for entry in entries if '"fired"' not in entry]
        assert len(kept) == len(entries) - 1
        file.write_text("[[principal]]".join(kept))
        error = error_of(lambda: list(watch))
        # A client calls again, because the token may have other rights only.
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()
        assert error_info(error).reason == "CREDENTIALS_CHANGED"
        check_refused(channel)
    with connect(secure, secure.tokens["van-7"]) as channel:
        assert record(channel, "paths/not-fired", 2) == 5


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_json_web_token_records_in_the_namespace_of_its_claims(secure, algorithm):
    name = f"paths/jwt-{algorithm}"
    with connect(secure, json_web_token("someone", algorithm, namespace="acme")) as channel:
        assert record(channel, name, 4) == 15
    with connect(secure, secure.tokens["van-7"]) as channel:
        assert read(channel, name).summary.length == 15
    with connect(secure, json_web_token("someone", algorithm)) as channel:
        assert check_refused(channel, grpc.StatusCode.NOT_FOUND)
    with connect(secure, json_web_token("someone", algorithm, role="reader")) as channel:
        assert error_of(lambda: record(channel, name, 1)).code() == grpc.StatusCode.PERMISSION_DENIED


def test_clocks_may_differ_by_the_clock_skew(secure):
    for times in {"ends_s": -30}, {"starts_s": 30}:
        with connect(secure, json_web_token("skewed", **times)) as channel:
            check_refused(channel, grpc.StatusCode.NOT_FOUND)


def exchanged_claims(signed, other):
    header, _, signature = signed.split(".")
    return ".".join([header, other.split(".")[1], signature])


INVALID = {
    "expired": lambda: json_web_token("x", ends_s=-120),
    "not yet valid": lambda: json_web_token("x", starts_s=120),
    "another audience": lambda: json_web_token("x", aud="another"),
    "another issuer": lambda: json_web_token("x", iss="https://another.example"),
    "another key": lambda: json_web_token("x", key=ec.generate_private_key(ec.SECP256R1())),
    "no signature": lambda: json_web_token("x", "none"),
    "public key as a secret": lambda: json_web_token("x", "HS256", key=modulus()),
    "changed claims": lambda: exchanged_claims(json_web_token("x"), json_web_token("x", role="admin")),
}


@pytest.mark.parametrize("fault", INVALID)
def test_an_invalid_json_web_token_is_unauthenticated(secure, fault):
    with connect(secure, INVALID[fault]()) as channel:
        error_info(check_refused(channel))


def test_a_client_certificate_is_a_credential(secure):
    uri, dns = "URI:spiffe://example.org/van-8", "DNS:van-9.example.org"
    for number, names in enumerate([f"{uri},DNS:any.example.org", dns]):
        with connect(secure, identity=secure.ca.issue(f"client-{number}", names)) as channel:
            check_refused(channel, grpc.StatusCode.NOT_FOUND)
            assert record(channel, "paths/certificate", 2 + number) == 5 + 5 * number
            assert read(channel, "paths/certificate").summary.length == 5 + 5 * number


def test_a_client_certificate_that_the_token_file_does_not_name_is_unauthenticated(secure):
    # A DNS name with the text of a URI is another name.
    for number, names in enumerate(["DNS:van-8.example.org", "URI:van-9.example.org"]):
        with connect(secure, identity=secure.ca.issue(f"unnamed-{number}", names)) as channel:
            error = check_refused(channel)
            assert "no entry of the token file names" in error.details()


def test_an_invalid_client_certificate_cannot_connect_even_with_a_token(secure):
    expired = secure.ca.issue("expired", "DNS:expired.example.org", days=-1)
    foreign = secure.other_ca.issue("foreign", "DNS:foreign.example.org")
    for identity in expired, foreign:
        with connect(secure, secure.tokens["van-7"], identity=identity) as channel:
            check_refused(channel, grpc.StatusCode.UNAVAILABLE)


def test_a_client_refuses_a_server_that_it_cannot_verify(secure):
    with connect(secure, secure.tokens["van-7"], root=secure.other_ca.root) as channel:
        check_refused(channel, grpc.StatusCode.UNAVAILABLE)
    for name, alternatives, days in ("elsewhere", "DNS:elsewhere.example", 2), ("old", LOCALHOST, -1):
        secure.ca.issue(name, alternatives, days)
        files = ["--tls-cert", f"{secure.ca.folder}/{name}.pem", "--tls-key", f"{secure.ca.folder}/{name}.key"]
        with own_server("127.0.0.1:0", *files) as server, connect(secure, address=server.address) as channel:
            check_refused(channel, grpc.StatusCode.UNAVAILABLE)


def test_plaintext_to_tls_and_the_reverse_fail_and_change_nothing(secure, address):
    with grpc.insecure_channel(secure.address) as channel:
        # Without a deadline, to notice calls that wait and reconnect.
        check_refused(channel, grpc.StatusCode.UNAVAILABLE)
    with connect(secure, address=address) as channel:
        check_refused(channel, grpc.StatusCode.UNAVAILABLE)
    test_health_needs_no_token_and_other_calls_do(secure)


def handshake(secure, *arguments):
    command = ["openssl", "s_client", "-connect", secure.address, "-CAfile", secure.ca.root, "-verify_return_error"]
    command += ["-servername", "localhost", *arguments]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_negotiates_http2(secure, version):
    run = handshake(secure, "-alpn", "h2", version)
    assert run.returncode == 0, run.stderr
    assert "ALPN protocol: h2" in run.stdout and "Verify return code: 0 (ok)" in run.stdout


# Security level 0 lets the client offer what it would not use.
@pytest.mark.parametrize(
    "arguments", [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-tls1_2", "-cipher", "AES128-SHA"]]
)
def test_obsolete_tls_is_refused(secure, arguments):
    run = handshake(secure, "-alpn", "h2", *arguments)
    assert run.returncode != 0 and "alert" in run.stderr, run.stderr


def test_grpcurl_calls_with_a_token(secure):
    if not (grpcurl := os.environ.get("GRPCURL")):
        pytest.skip("grpcurl is not installed and cannot be downloaded")
    call = [grpcurl, "-cacert", secure.ca.root, "-expand-headers", "-H", "authorization: Bearer ${TOKEN}"]
    call += [secure.address, "list"]
    good = subprocess.run(call, env={"TOKEN": secure.tokens["van-7"]}, capture_output=True, text=True)
    assert good.returncode == 0 and "waywiser.v1.PathService" in good.stdout.split(), good.stderr
    bad = subprocess.run(call, env={"TOKEN": "wrong"}, capture_output=True, text=True)
    assert bad.returncode != 0 and "Unauthenticated" in bad.stderr, bad.stderr
    call[1:3] = []
    unverified = subprocess.run(call, env={"TOKEN": secure.tokens["van-7"]}, capture_output=True, text=True)
    assert unverified.returncode != 0 and "certificate" in unverified.stderr, unverified.stderr


def test_node_calls_with_a_token_and_with_a_certificate(secure):
    secure.ca.issue("node", "DNS:node.example.org")
    script = pathlib.Path(__file__).parents[1] / "node" / "secure.js"
    command = ["node", script, secure.address, script.parents[3] / "proto", secure.ca.folder]
    environment = dict(os.environ, TOKEN=secure.tokens["van-7"])
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
