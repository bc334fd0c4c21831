"""The short reference under which a provider knows a request, and the idempotency keys of what we ask of it."""

from base64 import b32encode
from hashlib import sha256

_LENGTH = 14
# Crockford's letters in place of base32's own: nothing that is misread over the phone.
_CROCKFORD = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", b"0123456789ABCDEFGHJKMNPQRSTVWXYZ")


def reference(request_id: str) -> str:
    """Mint the reference of a request: `NS` and 14 upper-case letters and digits (70 bits), the same each time."""
    digest = sha256(request_id.encode("utf-8", "surrogatepass")).digest()
    return "NS" + b32encode(digest[:10]).translate(_CROCKFORD)[:_LENGTH].decode()


def provider_reference(reference: str, assignment: int) -> str:
    """Name one assignment of a request at its provider, at most 20 characters."""
    return reference if assignment == 1 else f"{reference}-{assignment}"


def idempotency_key(reference: str, assignment: int, operation: str, seq: int) -> str:
    """Name the intent: a retry of a delivery repeats its key, a redrive is another delivery with a higher number."""
    return f"{reference}.{assignment}.{operation}.{seq}"
