"""A TPM maker: swtpm's local CA, which certifies endorsement keys.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib

from . import paths

TOOL = "/usr/bin/swtpm_localca"


class Maker:
    """Keys and certificates of one maker, in a folder of its own."""

    def __init__(self, home):
        self.home = pathlib.Path(home)
        self.home.mkdir(parents=True, exist_ok=True)
        self._write("localca.conf",
                    f"statedir = {self.home}",
                    f"signingkey = {self.home / 'signkey.pem'}",
                    f"issuercert = {self.home / 'issuercert.pem'}",
                    f"certserial = {self.home / 'certserial'}")
        self._write("options", "--platform-manufacturer VSM",
                    "--platform-version 1", "--platform-model test")
        self._write("setup.conf", f"create_certs_tool={TOOL}",
                    "create_certs_tool_config="
                    f"{self.home / 'localca.conf'}",
                    "create_certs_tool_options="
                    f"{self.home / 'options'}")

    def _write(self, name, *lines):
        (self.home / name).write_text("\n".join(lines) + "\n")

    def manufacture(self, tpm):
        """Gives a TPM that was never started endorsement certificates."""
        state = tpm.home / "nv"
        state.mkdir(parents=True, exist_ok=True)
        paths.run(["swtpm_setup", "--tpm2", "--config",
                   str(self.home / "setup.conf"), "--tpmstate", str(state),
                   "--create-ek-cert", "--create-platform-cert",
                   "--lock-nvram", "--pcr-banks", "sha256,sha384"])

    @property
    def bundle(self):
        """The maker's certificates, as a verifier has them."""
        path = self.home / "bundle.pem"
        path.write_text(
            (self.home / "issuercert.pem").read_text() +
            (self.home / "swtpm-localca-rootca-cert.pem").read_text())
        return path
