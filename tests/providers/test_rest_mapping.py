from pathlib import Path
from typing import Any

import pytest

from gateway.providers.rest_settings import RestSettings
from gateway.settings import Settings, SettingsError, change, load
from tests.providers.rest import FOLDER

SMALLEST = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }

[providers.acme]
adapter = "rest"
url = "https://api.acme.example"
mapping = "acme.toml"
api_key = "env:SECRET"
"""
WEBHOOKS = 'webhooks = { kind = "hmac", header = "X-Signature", prefix = "sha256=" }\nwebhook_secret = "env:OTHER"\n'
PUSH = (FOLDER / "warehouse_push.toml").read_text()
POLL = (FOLDER / "warehouse_poll.toml").read_text()


def loaded(folder: Path, mapping: str, settings: str = SMALLEST + WEBHOOKS) -> Settings:
    (folder / "acme.toml").write_text(mapping)
    (folder / "gateway.toml").write_text(settings)
    environ = {"SECRET": "s" * 20, "OTHER": "o" * 20}
    return load(folder / "gateway.toml", environ, adapters={"rest": RestSettings})


def faults(folder: Path, mapping: str, settings: str = SMALLEST + WEBHOOKS) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, mapping, settings)
    return [each.removeprefix("providers.acme.") for each in caught.value.faults]


def test_five_faults_of_a_mapping_are_named_at_once_each_at_its_place(tmp_path: Path) -> None:
    spoilt = (
        PUSH.replace("qty: count", "qty: quantity")
        .replace('orders = "orders" ', 'orders = "orders[" ')
        .replace("/orders/{provider_order}", "/orders/{id}")
        .replace('SHORT = "rejected"', 'SHORT = "missing"')
        .replace("hint = false", 'hint = "no"')
    )
    told = faults(tmp_path, spoilt)
    assert [each.split(": ")[0] for each in told] == [
        'mapping."acme.toml".create.body',
        'mapping."acme.toml".look_up.orders',
        'mapping."acme.toml".withdraw.path',
        'mapping."acme.toml".webhook.words.SHORT',
        'mapping."acme.toml".webhook.hint',
    ]
    assert told[0].partition(": ")[2] == (
        "finds nothing for lines[0].qty: there is no lines[].quantity; choose one of product, sku, count, attributes"
    )
    assert told[1].partition(": ")[2].startswith("is no JMESPath expression: Invalid jmespath expression: Incomplete")
    assert told[2].partition(": ")[2].startswith("has {id}; choose one of reference, request_id, ")
    assert told[3].partition(": ")[2].startswith("is not a word known here; choose one of accepted, ")
    assert told[4].partition(": ")[2] == "must be true or false, without quotes"


def webhook(**keys: str | None) -> str:
    """Write the example with other keys in `[webhook]`; None leaves one out."""
    lines = PUSH.partition("[webhook]\n")[2].partition("\n[webhook.words]")[0].splitlines()
    kept = [line for line in lines if line.split(" = ")[0] not in keys]
    written = [f"{key} = {value}" for key, value in keys.items() if value is not None]
    return PUSH.replace("\n".join(lines), "\n".join([*kept, *written]))


HINTS = f"""{PUSH.partition("[webhook]")[0]}
[webhook]
reference = "order_number"
event_id = "event"

[read]
path = "/orders/{{reference}}/shipments"
reference = "order_number"
word = "status"
words = {{ CANCELLED = "cancelled" }}
whole_orders = ["CANCELLED"]
"""
FAULTY: list[tuple[str, str]] = [
    (webhook(reference=None), "webhook.reference: is missing; say where an order is named, by one of request, ref"),
    (webhook(word=None), "webhook.word: is missing; say where the provider's word stands, or write it in quotes"),
    (webhook(lines=None), "webhook.lines: is missing; say where to read what units are meant"),
    (webhook(quantity=None), "webhook.quantity: is missing; say where to read what units are meant"),
    (webhook(carrier=None), "webhook.carrier: is missing; say where to read what is shipped"),
    (webhook(reason=None), "webhook.reason: is missing; say where to read why it is rejected"),
    (webhook(hint="true"), "webhook.hint: needs [read]; add that, or hint = false where a webhook is the truth"),
    (webhook(whole_orders='["SHIPPED"]'), "webhook.whole_orders: has 'shipped', which is no word of words that may m"),
    (webhook(whole_orders='["PACKED"]'), "webhook.whole_orders: has 'packed', which is no word of words that may mean"),
    (webhook(event_id='"last(events)"'), "webhook.event_id: calls last, which is no function of JMESPath; "),
    (webhook(event_id='"join(events)"'), "webhook.event_id: gives join 1 arguments; it takes 2"),
    (webhook(event_id="17"), 'webhook.event_id: must be a JMESPath expression; write it in quotes, as "order.number"'),
    (webhook(counts='"sums"'), "webhook.counts: is not a word known here; choose one of totals, increments"),
    (PUSH.replace("SHIPPED =", '"short " = "ignored"\nSHIPPED ='), "webhook.words: names 'short ' twice, if blanks"),
    (PUSH.replace('path = "/orders"', 'path = "orders"'), "create.path: must be what comes after url; write it as /o"),
    (PUSH.replace('path = "/orders"\nbody', 'path = "/{provider_order}"\nbody'), "create.path: can't have {provider_"),
    (PUSH.replace("={reference}", "={reference"), "look_up.path: has a brace without its other; write {reference}"),
    (PUSH.replace("[look_up]", "[lookup]"), "lookup: is not known here; did you mean look_up?"),
    (PUSH.replace("[withdraw]", '[withdraw]\nheaders = { "X Id" = "a" }'), "withdraw.headers: 'X Id' is no name of a"),
    (PUSH.replace("exists = [409]", "exists = [200]"), "create.exists: must be a whole number; choose one from 400 to"),
    (PUSH.replace("look_up", "withdraw", 1).replace("[withdraw]", "[read]", 1), "create.exists: needs [look_up], to f"),
    (PUSH.partition("[webhook]")[0], "poll: is missing; add it, or [webhook]: what becomes of an order is heard now"),
    (PUSH[PUSH.index("[webhook]") :], "create: is missing; add how the provider is told of an order, or [look_up] ho"),
    (webhook(event_id='"order_number"'), "webhook.event_id: is reference, too, so all that is said of an order would"),
    (HINTS.replace('"event"', '"order_number"'), "webhook.event_id: is reference, too, so all that is said of an or"),
    (HINTS.replace("/{reference}/", "/our/"), "read.path: names no order; write {reference} or the like into it, or a"),
    (PUSH.replace("?order_number={reference}", ""), "look_up.path: names no order; write {reference} or the like in"),
    (PUSH.replace("/{provider_order}", ""), "withdraw.path: names no order; write {reference} or the like into it, o"),
    (HINTS.replace("[read]", '[read]\ncounts = "increments"'), "read.counts: needs event_id, by which what was read b"),
    (POLL.replace('"totals"', '"increments"'), "poll.counts: needs event_id, by which what was read b"),
    (PUSH.replace("to.line_1", "to.lnies"), "create.body: finds nothing for ship_to.street: there is no ship_to.lnies"),
    (POLL.replace("updated =", "time_zone = 'UTC' #"), "poll.updated: is missing; {since} is made of it"),
    (POLL.replace("updated_since={since}&", ""), "poll.updated: is of no use without {since} in the path; add that"),
    (POLL.replace("{page}", "{cursor}"), "poll.next: is missing; {cursor} is made of it"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "fault"), FAULTY)
def test_a_mapping_that_can_not_be_used_is_named_with_what_to_do(tmp_path: Path, mapping: str, fault: str) -> None:
    settings = SMALLEST if "[poll]" in mapping else SMALLEST + WEBHOOKS
    told = faults(tmp_path, mapping, settings)
    assert any(each.startswith(f'mapping."acme.toml".{fault}') for each in told), told


BESIDE: list[tuple[str, str, str]] = [
    (PUSH, SMALLEST, "webhooks: is missing; the mapping has [webhook]: add how one shows that it is the provider's"),
    (POLL, SMALLEST + WEBHOOKS, "webhooks: is of no use; the mapping has no [webhook]: add that, or remove this"),
    (PUSH, SMALLEST + WEBHOOKS.partition("\n")[0], "webhook_secret: is missing beside webhooks; add it, or remove web"),
    (PUSH, SMALLEST + WEBHOOKS.replace("hmac", "bearer"), 'webhooks.header: says nothing where kind = "bearer"; rem'),
    (PUSH, SMALLEST + WEBHOOKS.replace("header =", "user ="), 'webhooks.header: is missing; kind = "hmac" needs it'),
    (PUSH, SMALLEST + 'webhooks.kind = "standard"\nwebhook_secret = "env:OTHER"\n', "webhook_secret: is not whsec_ an"),
    ("[create", SMALLEST, "mapping: {folder}/acme.toml is not TOML: Expected ']' at the end of a table declaration"),
    (PUSH, SMALLEST.replace("acme.toml", "other.toml"), "mapping: {folder}/other.toml can't be read (No such file or"),
]  # fmt: skip


def test_a_call_whose_body_or_header_names_the_order_needs_no_more_in_its_path(tmp_path: Path) -> None:
    for more in ('body = "{number: reference}"', 'headers = { X-Number = "{reference}" }'):
        loaded(tmp_path, PUSH.replace("?order_number={reference}", "").replace("[look_up]", f"[look_up]\n{more}"))


@pytest.mark.parametrize(("mapping", "settings", "fault"), BESIDE)
def test_settings_that_do_not_fit_the_mapping_are_named(
    tmp_path: Path, mapping: str, settings: str, fault: str
) -> None:
    told = faults(tmp_path, mapping, settings)
    assert any(each.startswith(fault.replace("{folder}", str(tmp_path))) for each in told), told


def test_a_mapping_changes_while_the_gateway_runs(tmp_path: Path) -> None:
    old = loaded(tmp_path, PUSH)
    _, same = change(old, loaded(tmp_path, PUSH + "\n# the same\n"))
    assert (same.changed, same.needs_restart) == ([], [])
    _, told = change(old, loaded(tmp_path, PUSH.replace('"sku"', '"article"')))
    assert (told.changed, told.needs_restart) == (["providers.acme.mapping"], [])


def test_what_is_said_of_all_messages_may_be_said_otherwise_of_some(tmp_path: Path) -> None:
    calls, _, rest = PUSH.partition("[webhook]\nhint = false ")
    said = rest.partition("\n")[2].replace("[webhook.", "[said.")
    read = '[read]\npath = "/orders/{provider_order}"\nstatements = "[@]"\n'
    provider: Any = loaded(tmp_path, f"{calls}[said]\n{said}\n[webhook]\nhint = true\n{read}").providers["acme"]
    mapping = provider.mapping
    assert (str(mapping.webhook.reference), str(mapping.read.reference)) == ("order_number", "order_number")
    assert (str(mapping.webhook.statements), str(mapping.read.statements)) == ("cartons || [@]", "[@]")
    assert mapping.read.words["short"] == "rejected"
    provider = loaded(tmp_path, f"{calls}[said]\n{said}\n[webhook]\n{read}").providers["acme"]
    assert str(provider.mapping.webhook.reference) == "order_number"
