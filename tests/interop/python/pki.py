"""Certificates of a test, made with openssl."""

import subprocess

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Authority:
    """A CA, with its certificates in a folder."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder = folder
        subject = ["-subj", f"/CN={folder.name}"]
        self.openssl("req", "-x509", *CURVE, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", *subject)

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    @property
    def root(self):
        return self.folder / "ca.pem"

    def issue(self, name, alternatives, days=2):
        """Makes `name`.pem and `name`.key. Returns the bytes of the key and of the certificate."""
        self.openssl("req", *CURVE, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={alternatives}\nbasicConstraints=critical,CA:FALSE\n")
        issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", str(days)]
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *issuer, "-extfile", f"{name}.ext")
        return (self.folder / f"{name}.key").read_bytes(), (self.folder / f"{name}.pem").read_bytes()
