"""keystore.js, backup.js and replay.js: what a browser keeps, who owns it, and that nothing is ever lost."""

from __future__ import annotations

import json
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.modules import Modules
from tests.site import Site

pytest_plugins = ["tests.doorway", "tests.modules"]

ALICE = {"customId": "111111111111", "username": "alice"}
MARA = {"customId": "222222222222", "username": "mara"}
BOB, CARA = "333333333333", "444444444444"

COMPLETE = """
  const crypto = await import("/static/js/crypto.js");
  const pair = async () => {
    const { privateKey, publicKey } = await crypto.generateKeyPair();
    return { myPrivateKey: privateKey, myPublicKey: publicKey };
  };
  const exchange = async (id, username) => {
    const [mine, theirs] = [await pair(), await pair()];
    await it.update((book) => {
      it.addContact(book, { customId: id, username });
      it.completeExchange(book, id, theirs.myPublicKey, mine);
    });
    return it.read().keys[id];
  };
"""


@pytest.fixture
def fresh(browser: Browser, site: Site) -> Any:
    """The modules in a browser without any past, with alice as its owner."""
    context = browser.new_context(bypass_csp=True)
    modules = Modules(context, site.origin)
    modules.run("keystore", "return it.openAccount(given)", ALICE)
    yield modules
    context.close()


def kept(modules: Modules) -> dict[str, str]:
    """All of localStorage, to the byte."""
    found: dict[str, str] = modules.page.evaluate("() => ({ ...localStorage })")
    return found


def test_the_layout_is_the_seeds(fresh: Modules) -> None:
    fresh.run("keystore", COMPLETE + "return exchange(given, 'bob')", BOB)
    storage = {name: json.loads(value) for name, value in kept(fresh).items()}
    assert storage["chatUser"] == ALICE
    assert set(storage["contactKeys"][BOB]) == {"myPrivateKey", "myPublicKey", "theirPublicKey"}
    assert json.loads(storage["contactKeys"][BOB]["myPrivateKey"])["d"]
    [contact] = storage["myContacts"]
    assert (contact["customId"], contact["username"], contact["hasKeys"]) == (BOB, "bob", True)
    assert contact["isOnline"] is False


def test_two_tabs_that_write_at_once_lose_nothing(fresh: Modules) -> None:
    other = Modules(fresh.page.context, fresh.page.url.removesuffix("/login"))
    other.run("keystore", "return it.openAccount(given)", ALICE)
    write = """(prefix) => import("/static/js/keystore.js").then((it) =>
      Promise.all(Array.from({ length: 50 }, (_, n) => it.update(async (book) => {
        await new Promise((resolve) => setTimeout(resolve, Math.random()));
        it.addContact(book, { customId: `${prefix}${n}`, username: "x" });
      }))).then(() => document.title = `done ${prefix}`))"""
    for modules, prefix in ((fresh, "one"), (other, "two")):
        modules.page.evaluate(f"() => void ({write})('{prefix}')")
    for modules, prefix in ((fresh, "one"), (other, "two")):
        modules.page.wait_for_function(f"document.title === 'done {prefix}'")
    ids = fresh.run("keystore", "return it.read().contacts.map(({ customId }) => customId)")
    assert sorted(ids) == sorted(f"{prefix}{number}" for prefix in ("one", "two") for number in range(50))


def test_another_account_parks_the_first_and_brings_it_back(fresh: Modules) -> None:
    keys = fresh.run("keystore", COMPLETE + "return exchange(given, 'bob')", BOB)
    fresh.run("keystore", "return it.openAccount(given)", MARA)
    assert fresh.run("keystore", "return it.read()") == {"contacts": [], "keys": {}, "declined": {}}
    assert f"parked:{ALICE['customId']}" in kept(fresh)
    fresh.run("keystore", "return it.openAccount(given)", ALICE)
    assert fresh.run("keystore", "return it.read().keys") == {BOB: keys}
    assert f"parked:{ALICE['customId']}" not in kept(fresh)


def test_a_page_whose_account_is_gone_writes_nothing(fresh: Modules) -> None:
    other = Modules(fresh.page.context, fresh.page.url.removesuffix("/login"))
    other.run("keystore", "return it.openAccount(given)", MARA)
    before = kept(fresh)
    code = "return it.update((book) => it.addContact(book, { customId: 'x', username: '' }))"
    assert fresh.fault("keystore", code) == "AccountChanged"
    assert fresh.fault("keystore", "return it.read()") == "AccountChanged"
    assert kept(fresh) == before


def test_a_change_that_fails_writes_nothing(fresh: Modules) -> None:
    before = kept(fresh)
    code = "return it.update((book) => { book.contacts.push({ customId: 'x' }); throw new TypeError('no'); })"
    assert fresh.fault("keystore", code) == "TypeError"
    assert kept(fresh) == before


def test_other_tabs_hear_of_a_change(fresh: Modules) -> None:
    other = Modules(fresh.page.context, fresh.page.url.removesuffix("/login"))
    listen = "it.onChange(({ ownerChanged }) => { document.title = `news ${ownerChanged}`; })"
    other.run("keystore", f"await it.openAccount(given); {listen}", ALICE)
    fresh.run("keystore", "return it.update((book) => it.addContact(book, { customId: 'x', username: 'x' }))")
    other.page.wait_for_function("document.title === 'news false'")
    fresh.run("keystore", "return it.openAccount(given)", MARA)
    other.page.wait_for_function("document.title === 'news true'")


@pytest.mark.parametrize(
    ("name", "raw"), [("contactKeys", "{broken"), ("contactKeys", "[]"), ("myContacts", '{"a":1}')]
)
def test_what_does_not_parse_is_set_aside_and_said(fresh: Modules, name: str, raw: str) -> None:
    fresh.page.evaluate("([name, raw]) => localStorage.setItem(name, raw)", [name, raw])
    assert fresh.run("keystore", "return it.openAccount(given)", ALICE) == {"damaged": [name]}
    aside = [value for key, value in kept(fresh).items() if key.startswith(f"damaged:{name}:")]
    assert aside == [raw]


def test_a_new_exchange_retires_the_old_pair(fresh: Modules) -> None:
    code = """
      const old = await exchange(given, 'bob');
      return [old, await exchange(given, 'bob'), it.pairsOf(it.read(), given)]"""
    old, new, pairs = fresh.run("keystore", COMPLETE + code, BOB)
    assert new["retired"][0]["myPrivateKey"] == old["myPrivateKey"]
    assert new["retired"][0]["theirPublicKey"] == old["theirPublicKey"]
    assert new["retired"][0]["until"].endswith("Z")
    assert [pair["myPrivateKey"] for pair in pairs] == [new["myPrivateKey"], old["myPrivateKey"]]


def test_the_same_exchange_twice_is_one(fresh: Modules) -> None:
    code = """
      const keys = await exchange(given, 'bob');
      await it.update((book) => it.completeExchange(book, given, keys.theirPublicKey, keys));
      return [keys, it.read().keys[given]]"""
    once, twice = fresh.run("keystore", COMPLETE + code, BOB)
    assert once == twice


# Backups.

EXPORT = (
    COMPLETE
    + """
  const backup = await import("/static/js/backup.js");
  await exchange("333333333333", "bob");
  await exchange("444444444444", "cara");
"""
)
MERGE = """
  const backup = await import("/static/js/backup.js");
  const content = await backup.readBackup(given.file, given.passphrase);
  return it.update((book) => {
    const plan = backup.planMerge(book, content);
    backup.applyMerge(book, content, { replace: new Set(given.replace ?? []) });
    return plan;
  });
"""


def plain_backup(modules: Modules) -> str:
    """The export of a browser with two contacts."""
    exported: str = modules.run("keystore", EXPORT + "return backup.exportPlain(it.read())")
    return exported


def test_the_plain_export_is_the_seeds_file(fresh: Modules) -> None:
    exported = json.loads(plain_backup(fresh))
    assert set(exported) == {BOB, CARA}
    assert set(exported[BOB]) == {"myPrivateKey", "myPublicKey", "theirPublicKey"}


def test_a_plain_backup_brings_keys_and_contacts_to_an_empty_browser(fresh: Modules) -> None:
    exported = plain_backup(fresh)
    keys = fresh.run("keystore", "return it.read().keys")
    fresh.page.evaluate("localStorage.clear()")
    fresh.run("keystore", "return it.openAccount(given)", ALICE)
    plan = fresh.run("keystore", MERGE, {"file": exported})
    assert sorted(plan["added"]) == [BOB, CARA]
    assert fresh.run("keystore", "return it.read().keys") == keys
    assert fresh.run("keystore", "return it.read().contacts.map((one) => [one.customId, one.hasKeys, one.state])") == [
        [BOB, True, "connected"],
        [CARA, True, "connected"],
    ]


def test_a_sealed_backup_opens_with_its_passphrase_alone(fresh: Modules) -> None:
    sealed = fresh.run("keystore", EXPORT + "return backup.exportSealed('correct horse', it.read())")
    assert BOB not in sealed
    assert '"d"' not in sealed
    fresh.page.evaluate("localStorage.clear()")
    fresh.run("keystore", "return it.openAccount(given)", ALICE)
    read = "return it.readBackup(given.file, given.passphrase)"
    assert fresh.fault("backup", read, {"file": sealed}) == "ImportFault needs_passphrase"
    assert fresh.fault("backup", read, {"file": sealed, "passphrase": "wrong horse"}) == "ImportFault needs_passphrase"
    plan = fresh.run("keystore", MERGE, {"file": sealed, "passphrase": "correct horse"})
    assert sorted(plan["added"]) == [BOB, CARA]
    assert fresh.run("keystore", "return it.read().contacts.map((one) => one.username)") == ["bob", "cara"]


@pytest.mark.parametrize(("replace", "current"), [([], "mine"), ([BOB], "theirs")])
def test_of_two_pairs_that_differ_both_are_kept(fresh: Modules, replace: list[str], current: str) -> None:
    exported = plain_backup(fresh)
    theirs = json.loads(exported)[BOB]["myPrivateKey"]
    mine = fresh.run("keystore", COMPLETE + "return (await exchange(given, 'bob')).myPrivateKey", BOB)
    plan = fresh.run("keystore", MERGE, {"file": exported, "replace": replace})
    assert (plan["conflicts"], plan["same"]) == ([BOB], [CARA])
    pairs = [pair["myPrivateKey"] for pair in fresh.run("keystore", "return it.pairsOf(it.read(), given)", BOB)]
    assert set(pairs) == {mine, theirs}
    assert pairs[0] == {"mine": mine, "theirs": theirs}[current]


def test_importing_twice_changes_nothing(fresh: Modules) -> None:
    exported = plain_backup(fresh)
    before = kept(fresh)
    plan = fresh.run("keystore", MERGE, {"file": exported})
    assert sorted(plan["same"]) == [BOB, CARA]
    assert kept(fresh) == before


def _with(exported: str, **change: Any) -> str:
    content = json.loads(exported)
    content[BOB] |= change
    return json.dumps(content)


def test_a_wrong_file_says_what_is_wrong_and_changes_nothing(fresh: Modules) -> None:
    exported = plain_backup(fresh)
    whole = json.loads(exported)
    before = kept(fresh)
    wrong = {
        "no json at all": "not JSON",
        "[]": "no key backup",
        "{}": "no keys",
        '{"__proto__": {"myPrivateKey": 1}}': "not the id",
        json.dumps({"has space": whole[BOB]}): "not the id",
        json.dumps({BOB: "x"}): "no keys in it",
        _with(exported, myPrivateKey="{}"): f"Entry {BOB}: myPrivateKey",
        _with(exported, myPublicKey=whole[CARA]["myPublicKey"]): f"Entry {BOB}: myPrivateKey and myPublicKey",
        _with(exported, theirPublicKey=whole[BOB]["myPrivateKey"]): f"Entry {BOB}: theirPublicKey",
        _with(exported, retired=[{"myPrivateKey": "x"}]): f"Entry {BOB}: a retired pair",
        " " * 5_000_001: "too large",
    }
    for file, words in wrong.items():
        code = "try { await it.readBackup(given) } catch (fault) { return [fault.name, fault.message] }"
        name, message = fresh.run("backup", code, file)
        assert name == "ImportFault"
        assert words in message
    assert kept(fresh) == before


# Replays.

GUARD = "const guard = await it.openReplayGuard('111111111111'); const out = [];"
ADMIT = "Object.fromEntries(await guard.admit(contact, entries))"


def admit(modules: Modules, *calls: tuple[str, list[dict[str, str]]]) -> list[dict[str, bool]]:
    """What the guard of alice says to each call, in a page's life."""
    code = GUARD + f"for (const [contact, entries] of given) out.push({ADMIT}); return out;"
    answers: list[dict[str, bool]] = modules.run("replay", code, [list(call) for call in calls])
    return answers


def test_an_iv_belongs_to_the_message_that_came_with_it_first(fresh: Modules) -> None:
    first = (BOB, [{"iv": "aa", "messageId": "1"}])
    again = (BOB, [{"iv": "aa", "messageId": "2"}])
    assert admit(fresh, first, first, again) == [{"1": True}, {"1": True}, {"2": False}]


def test_the_guard_remembers_beyond_a_reload(fresh: Modules) -> None:
    admit(fresh, (BOB, [{"iv": "aa", "messageId": "1"}]))
    fresh.page.reload()
    assert admit(fresh, (BOB, [{"iv": "aa", "messageId": "2"}])) == [{"2": False}]


def test_conversations_are_apart(fresh: Modules) -> None:
    assert admit(fresh, (BOB, [{"iv": "aa", "messageId": "1"}]), (CARA, [{"iv": "aa", "messageId": "2"}]))[1] == {
        "2": True
    }


def test_of_two_alike_in_one_page_the_first_wins(fresh: Modules) -> None:
    twins = [{"iv": "aa", "messageId": "1"}, {"iv": "aa", "messageId": "2"}]
    assert admit(fresh, (BOB, twins)) == [{"1": True, "2": False}]


def test_without_a_database_the_guard_remembers_while_the_page_lives(fresh: Modules) -> None:
    refuse = "IDBFactory.prototype.open = () => { throw new DOMException('no', 'SecurityError'); };"
    fresh.page.evaluate(f"() => {{ {refuse} }}")
    first = (BOB, [{"iv": "aa", "messageId": "1"}])
    again = (BOB, [{"iv": "aa", "messageId": "2"}])
    assert admit(fresh, first, again) == [{"1": True}, {"2": False}]
