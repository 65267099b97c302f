"""Certificates for tests, and the lines for TLS in the configurations of proxies."""

import subprocess


def make_ca(folder):
    """Makes a CA with the files ca.pem and ca-key.pem in a new folder."""
    folder.mkdir()
    openssl(folder, "req", "-x509", *NEW_KEY, "-keyout", "ca-key.pem", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test CA")


def make_certificate(folder, names, prefix=""):
    """Makes cert.pem, key.pem and cert-and-key.pem of a certificate by the CA of a folder."""
    openssl(folder, "req", *NEW_KEY, "-keyout", f"{prefix}key.pem", "-out", "request.pem", "-subj", "/CN=test")
    (folder / "names").write_text(f"subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n")
    signing = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-CAcreateserial", "-extfile", "names", "-days", "2"]
    openssl(folder, "x509", "-req", "-in", "request.pem", "-out", f"{prefix}cert.pem", *signing)
    both = (folder / f"{prefix}cert.pem").read_text() + (folder / f"{prefix}key.pem").read_text()
    (folder / f"{prefix}cert-and-key.pem").write_text(both)


def with_tls(text):
    """Removes the marks "#tls" of a configuration, and the lines that those replace."""
    kept = [line for line in text.splitlines() if not line.endswith("# h2c")]
    assert any("#tls " in line for line in kept), text
    return "\n".join(kept).replace("#tls ", "") + "\n"


NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
