"""Checking a report with tools that are not VSM's: jose, tpm2_checkquote.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import hashlib
import json
import pathlib
import struct

from .paths import run
from .vsm import unb64url

SHA384 = 0x000c


def jose_verify(report, rk_jwk, folder):
    """True if Debian's jose accepts the JWS under that key."""
    folder = pathlib.Path(folder)
    (folder / "report.jws").write_text(report)
    (folder / "rk.jwk").write_text(json.dumps(rk_jwk))
    done = run(["jose", "jws", "ver", "-i", folder / "report.jws",
                "-k", folder / "rk.jwk", "-O", folder / "claims.json"],
               check=False)
    return done.returncode == 0


def jose_new_key(folder, name="recipient", curve="P-256"):
    """An EC key of a remote system: (private file, public JWK)."""
    folder = pathlib.Path(folder)
    private = folder / f"{name}.jwk"
    run(["jose", "jwk", "gen", "-i",
         json.dumps({"kty": "EC", "crv": curve}), "-o", private])
    public = run(["jose", "jwk", "pub", "-i", private, "-o", "-"]).stdout
    jwk = json.loads(public)
    return private, {key: jwk[key] for key in ("kty", "crv", "x", "y")}


def jose_decrypt(jwe, private, folder):
    """The plaintext of a JWE, or None when jose refuses."""
    folder = pathlib.Path(folder)
    (folder / "report.jwe").write_text(jwe)
    done = run(["jose", "jwe", "dec", "-i", folder / "report.jwe",
                "-k", private, "-O", "-"], check=False)
    return done.stdout if done.returncode == 0 else None


def field(data):
    """A length-prefixed field, as extraData's inputs are."""
    return struct.pack(">H", len(data)) + data


def canonical_request(claims, recipient_thumbprint=""):
    """The bytes whose SHA-384 the quote's extraData covers."""
    words = ["VSM-REQUEST-1", claims["op"], claims["asked"],
             claims["scope"], claims.get("profile") or "",
             recipient_thumbprint, claims["vm"]["uuid"]]
    return b"".join(field(word.encode()) for word in words)


def quote_qualification(claims, nonce, rk_name, recipient_thumbprint=""):
    """extraData that the quote must have."""
    quote = claims["quote"]
    return hashlib.sha384(b"".join(field(part) for part in (
        b"VSM-QUOTE-1", nonce, rk_name, unb64url(quote["sealed_name"]),
        hashlib.sha384(canonical_request(
            claims, recipient_thumbprint)).digest(),
        claims["vm"]["uuid"].encode()))).digest()


def tpm_name(guest, key):
    """Name of the AK or RK, read from the TPM itself.

    The persistent key whose point is the JWK's; tpm2_readpublic prints
    its Name.
    """
    jwk = json.loads(guest.vsm_status()[key])
    point = unb64url(jwk["x"]).hex()
    handles = guest.tpm.tool("tpm2_getcap", "handles-persistent").stdout
    for handle in (line.strip("- ") for line in handles.splitlines()):
        text = guest.tpm.tool("tpm2_readpublic", "-c", handle).stdout
        if point in text.lower():
            name = text.split("name:")[1].split()[0]
            return bytes.fromhex(name)
    raise AssertionError(f"no persistent key is the {key}")


def pcr_file(pcrs):
    """The claimed PCR values in tpm2_quote's own file format.

    TPML_PCR_SELECTION (132 bytes), a count, TPML_DIGESTs (532 bytes each),
    as little-endian C structs.
    """
    values = sorted((int(number), bytes.fromhex(value))
                    for number, value in pcrs["values"].items())
    mask = sum(1 << number for number, _ in values)
    selection = struct.pack("<I", 1) + struct.pack("<HB", SHA384, 3)
    selection += mask.to_bytes(3, "little") + bytes(2)
    selection = selection.ljust(132, b"\0")
    lists = []
    for start in range(0, len(values), 8):
        digests = values[start:start + 8]
        body = struct.pack("<I", len(digests))
        for _, value in digests:
            body += struct.pack("<H", len(value)) + value.ljust(64, b"\0")
        lists.append(body.ljust(532, b"\0"))
    return selection + struct.pack("<I", len(lists)) + b"".join(lists)


def ak_pem(ak_jwk, folder):
    """The AK's JWK as a PEM file, made with openssl."""
    curve = {"P-256": "06082a8648ce3d030107", "P-384": "06052b81040022"}
    oid = bytes.fromhex(curve[ak_jwk["crv"]])
    point = b"\x04" + unb64url(ak_jwk["x"]) + unb64url(ak_jwk["y"])

    def tlv(tag, body):
        size = len(body)
        head = bytes([size]) if size < 128 else bytes([0x81, size])
        return bytes([tag]) + head + body

    der = tlv(0x30, tlv(0x30, bytes.fromhex("06072a8648ce3d0201") + oid) +
              tlv(0x03, b"\0" + point))
    folder = pathlib.Path(folder)
    (folder / "ak.der").write_bytes(der)
    run(["openssl", "pkey", "-pubin", "-inform", "DER", "-in",
         folder / "ak.der", "-out", folder / "ak.pem"])
    return folder / "ak.pem"


def checkquote(claims, ak_jwk, qualification, folder):
    """True if tpm2_checkquote accepts the report's quote."""
    folder = pathlib.Path(folder)
    quote = claims["quote"]
    (folder / "quote.msg").write_bytes(unb64url(quote["attest"]))
    (folder / "quote.sig").write_bytes(unb64url(quote["signature"]))
    (folder / "quote.pcrs").write_bytes(pcr_file(claims["pcrs"]))
    done = run(["tpm2_checkquote", "-u", ak_pem(ak_jwk, folder),
                "-m", folder / "quote.msg", "-s", folder / "quote.sig",
                "-f", folder / "quote.pcrs", "-g", "sha384",
                "-q", qualification.hex()], check=False)
    return done.returncode == 0
