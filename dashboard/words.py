"""Our words for what the API names by a code."""

import re
from collections.abc import Mapping

_COMMAND = re.compile(r"`gateway (\w+) ID[^`]*`")

FAILURES = {
    "refused": "NewStore refused it",
    "unverified": "NewStore never showed it",
    "surplus": "NewStore shows more than was sent",
    "conflict": "somebody contradicts it",
    "callback_refused": "a callback was refused",
    "withdrawn": "the provider stopped, units are left over",
    "overdue_acknowledge": "the provider has not taken it in time",
    "overdue_accept": "the provider has not accepted it in time",
    "overdue_backorder": "the provider lacks units for too long",
    "dead_create": "the provider did not take it",
    "dead_withdraw": "the provider did not say whether it stopped",
    "dead_read_order": "the order can't be read at the provider",
    "dead_acknowledge": "NewStore was not told of the acceptance",
    "dead_ship": "the shipment may not be at NewStore",
    "dead_reject": "the rejection may not be at NewStore",
    "dead_cancel": "the cancellation may not be at NewStore",
    "dead_read_shipment": "NewStore's shipments can't be read",
    "dead_read_rejection": "NewStore's rejections can't be read",
    "dead_read_cancellation": "NewStore's cancellations can't be read",
}
QUARANTINE = {
    "unknown_request": "nobody has its request yet",
    "ambiguous_request": "it may be about several requests",
    "malformed": "it can't be read",
    "adapter_broke": "its adapter has a fault",
    "hint_only": "a hint, and its provider can't be asked",
    "unstorable": "no database can hold it",
    "unmapped": "a word that nobody has mapped",
    "unknown_word": "an unknown word",
    "not_understood": "not all of it was understood",
    "same_parcel": "the same parcel again",
    "no_parcel": "a shipment without its parcel",
    "unknown_reason": "a rejection without a known reason",
    "provider_cancelled": "the provider cancelled",
}
SCOPES = {
    "everything": "everything",
    "newstore": "NewStore",
    "provider": "provider",
    "location": "DC",
    "request": "request",
    "rejections": "rejections of DC",
    "operation": "at NewStore, every",
}
HOLDING = {
    "everything": "no call goes out to anybody",
    "newstore": "NewStore is told nothing",
    "provider": "nothing is sent to this provider",
    "location": "no call of this DC goes out, neither to its provider nor to NewStore",
    "request": "no call of this request goes out",
    "rejections": "rejections and cancellations of this DC are not told to NewStore",
    "operation": "NewStore is told none of these, of any DC",
}
OPERATIONS = ("acknowledge", "ship", "reject", "cancel")
SIGNS = {
    "open": "○ open",
    "shipped": "▲ shipped",
    "rejected": "✕ rejected",
    "cancelled": "⊘ cancelled",
    "not_sent": "· not sent",
    "sent": "… sent",
    "proved": "✓ proved",
    "refused": "✕ refused",
    "unverified": "? unverified",
    "unverifiable": "~ unverifiable",
}


def failure(code: str) -> str:
    """Say why a request failed."""
    return FAILURES.get(code, code.replace("_", " "))


def here(advice: str, labels: Mapping[str, str]) -> str:
    """Say of a command what its button here is called."""
    return _COMMAND.sub(lambda found: f"“{labels.get(found[1], found[1].capitalize())}”", advice)
