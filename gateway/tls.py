"""How a destination is known by its certificate, and we by ours."""

import ssl
from pathlib import Path
from typing import Final, Literal

_CERTIFICATE: Final = "CERTIFICATE-----"
_KEY: Final = "PRIVATE KEY-----"
_LOCKED: Final = "ENCRYPTED"

Setting = Literal["ca", "client_certificate", "client_key"]


class Unusable(Exception):
    """A file of certificates or keys that can't be used: of which setting, what is wrong, and what to do."""

    def __init__(self, setting: Setting, text: str) -> None:
        super().__init__(text)
        self.setting = setting


def context(ca: Path | None, client_certificate: Path | None, client_key: Path | None) -> ssl.SSLContext:
    """Trust this CA and no other, or all that the system trusts, and show this certificate. Raises `Unusable`."""
    made = trusting(ca)
    made.set_alpn_protocols(["http/1.1"])
    if client_certificate and client_key:
        _show(made, client_certificate, client_key)
    return made


def trusting(ca: Path | None) -> ssl.SSLContext:
    """Trust this CA and no other, or all that the system trusts. Raises `Unusable`."""
    if ca is None:
        return ssl.create_default_context()
    _look_into("ca", ca, _CERTIFICATE)
    try:
        return ssl.create_default_context(cafile=ca)
    except ssl.SSLError:
        raise Unusable("ca", f"the file {ca} holds a broken certificate; write it anew as PEM") from None


def _show(made: ssl.SSLContext, certificate: Path, key: Path) -> None:
    _look_into("client_certificate", certificate, _CERTIFICATE)
    if _LOCKED in _look_into("client_key", key, _KEY):
        raise Unusable("client_key", f"the file {key} is locked by a passphrase; write it without, by `openssl pkey`")
    try:
        made.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            told = f"the file {key} is not the key of client_certificate; write the one it was made with"
            raise Unusable("client_key", told) from None
        told = f"the file {certificate} or the key in {key} is broken; write both anew as PEM"
        raise Unusable("client_certificate", told) from None


def _look_into(setting: Setting, file: Path, what: str) -> str:
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        told = f"the file {file} can't be read ({error.strerror}); create it or correct the path"
        raise Unusable(setting, told) from None
    if what not in text:
        raise Unusable(setting, f"the file {file} has no -----BEGIN … {what} in it; write it as PEM")
    return text
