"""Backup of the keys: taken out of one browser, brought into another, and refused when it is not what it should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser import Enter, Person, connect, talk

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
SECRET = "a passphrase for the file"
ALL_KEPT = "JSON.stringify({...localStorage})"


@pytest.fixture
def fresh(enter: Enter) -> Pair:
    """Two with keys who have talked."""
    mara, jonas = enter("mara"), enter("jonas")
    connect(mara, jonas)
    talk(mara, jonas)
    return mara, jonas


def export(person: Person, folder: Path, passphrase: str = "") -> Path:
    """Take the backup out by the settings; the file."""
    person.button("Export Keys").click()
    person.page.get_by_label("Passphrase for the backup").fill(passphrase)
    with person.page.expect_download() as coming:
        person.button("Export encryption keys").click()
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    person.button("Close settings").click()
    return file


def choose(person: Person, file: Path) -> None:
    """Give a file to the settings; they stay open."""
    person.button("Import Keys").click()
    person.page.get_by_label("Choose key file").set_input_files(file)


def result(person: Person) -> Any:
    """Where the settings say how an import went."""
    return person.page.locator("#import-result")


def newcomer(enter: Enter, person: Person, other: Person) -> Person:
    """The same person in a browser that has nothing of theirs, with the contact added."""
    elsewhere = enter("elsewhere", username=person.username)
    elsewhere.add(other)
    return elsewhere


def test_a_plain_backup_is_the_keys_in_clear_after_a_warning(fresh: Pair, tmp_path: Path) -> None:
    mara, jonas = fresh
    mara.button("Export Keys").click()
    expect(mara.page.get_by_text("Without a passphrase the file holds your keys in clear")).to_be_visible()
    mara.page.get_by_label("Passphrase for the backup").fill(SECRET)
    expect(mara.page.get_by_text("Without a passphrase the file holds your keys in clear")).to_be_hidden()
    mara.button("Close settings").click()
    file = export(mara, tmp_path)
    assert file.name == "encryption_keys_backup.json"
    kept = mara.kept("contactKeys")[jonas.id]
    assert json.loads(file.read_text()) == {
        jonas.id: {name: kept[name] for name in ("myPrivateKey", "myPublicKey", "theirPublicKey")}
    }


def test_a_sealed_backup_shows_no_key_and_no_contact(fresh: Pair, tmp_path: Path) -> None:
    mara, jonas = fresh
    file = export(mara, tmp_path, SECRET)
    assert file.name == "sotto-backup.json"
    text = file.read_text()
    sealed = json.loads(text)
    assert sealed["kdf"]["iterations"] >= 600_000
    for secret in (jonas.id, jonas.username, json.loads(mara.keys_with(jonas)["myPrivateKey"])["d"], SECRET):
        assert secret not in text


def test_a_plain_backup_opens_the_old_history_in_a_fresh_browser(fresh: Pair, enter: Enter, tmp_path: Path) -> None:
    mara, jonas = fresh
    words = mara.texts()
    elsewhere = newcomer(enter, mara, jonas)
    unopened = "This message cannot be opened here: the keys are not in this browser."
    expect(elsewhere.page.locator(".message .body")).to_have_text([unopened] * len(words))
    choose(elsewhere, export(mara, tmp_path))
    expect(result(elsewhere)).to_have_text("Imported keys for 1 contact.")
    elsewhere.button("Close settings").click()
    expect(elsewhere.page.locator(".message .body")).to_have_text(words)
    talk(elsewhere, jonas)


def test_a_sealed_backup_brings_keys_and_contacts_to_a_fresh_browser(fresh: Pair, enter: Enter, tmp_path: Path) -> None:
    mara, jonas = fresh
    file = export(mara, tmp_path, SECRET)
    elsewhere = enter("elsewhere", username=mara.username)
    choose(elsewhere, file)
    expect(result(elsewhere)).to_have_text("This backup is sealed: enter its passphrase.")
    elsewhere.page.get_by_label("Passphrase of this backup").fill(SECRET)
    elsewhere.button("Open backup").click()
    expect(result(elsewhere)).to_have_text("Imported keys for 1 contact.")
    elsewhere.button("Close settings").click()
    expect(elsewhere.row(jonas).locator(".name")).to_have_text(jonas.username)
    elsewhere.open_chat(jonas)
    expect(elsewhere.page.locator(".message .body")).to_have_text(mara.texts())


def test_a_wrong_passphrase_says_so_and_changes_nothing(fresh: Pair, tmp_path: Path) -> None:
    mara, _ = fresh
    file = export(mara, tmp_path, SECRET)
    before = mara.page.evaluate(ALL_KEPT)
    choose(mara, file)
    mara.page.get_by_label("Passphrase of this backup").fill("not the passphrase")
    mara.button("Open backup").click()
    expect(result(mara)).to_have_text("Wrong passphrase, or the file is damaged.")
    assert mara.page.evaluate(ALL_KEPT) == before


def other_pair(keys: dict[str, Any]) -> dict[str, Any]:
    """A backup whose private key belongs to another public one."""
    contact, entry = next(iter(keys.items()))
    return {contact: entry | {"myPublicKey": entry["theirPublicKey"]}}


def no_public(keys: dict[str, Any]) -> dict[str, Any]:
    """A backup with a private key in the place of the contact's public one."""
    contact, entry = next(iter(keys.items()))
    return {contact: entry | {"theirPublicKey": entry["myPrivateKey"]}}


SPOILED: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "not JSON": (lambda _: "{oops", "This file is not JSON, so it is no key backup."),
    "a list": (lambda _: [1, 2], "This file"),
    "another file": (lambda _: {"name": "package", "version": "1"}, "Entry name: there are no keys in it."),
    "an impossible id": (lambda keys: {"../x": next(iter(keys.values()))}, "“../x” is not the id of a contact."),
    "no pair": (other_pair, "myPrivateKey and myPublicKey are not a P-256 pair."),
    "no public key": (no_public, "theirPublicKey is not a P-256 public key."),
}


@pytest.mark.parametrize("kind", SPOILED)
def test_a_file_that_is_no_backup_says_what_is_wrong_and_changes_nothing(pair: Pair, tmp_path: Path, kind: str) -> None:
    mara, _ = pair
    spoil, sentence = SPOILED[kind]
    spoiled = spoil(json.loads(export(mara, tmp_path).read_text()))
    file = tmp_path / "spoiled.json"
    file.write_text(spoiled if isinstance(spoiled, str) else json.dumps(spoiled))
    before = mara.page.evaluate(ALL_KEPT)
    choose(mara, file)
    expect(result(mara)).to_contain_text(sentence)
    assert mara.page.evaluate(ALL_KEPT) == before
    mara.button("Close settings").click()


def test_the_same_backup_again_changes_nothing(pair: Pair, tmp_path: Path) -> None:
    mara, _ = pair
    file = export(mara, tmp_path)
    before = mara.page.evaluate(ALL_KEPT)
    choose(mara, file)
    expect(result(mara)).to_have_text("These keys were all here already.")
    assert mara.page.evaluate(ALL_KEPT) == before
    mara.button("Close settings").click()


@pytest.mark.parametrize("takes_backup", [True, False])
def test_of_two_pairs_the_one_not_chosen_is_kept_for_old_messages(
    fresh: Pair, tmp_path: Path, takes_backup: bool
) -> None:
    mara, jonas = fresh
    words = mara.texts()
    file = export(mara, tmp_path)
    old = mara.keys_with(jonas)
    mara.button("Exchange new keys").click()
    mara.button("Ask for new keys").click()
    jonas.accept()
    mara.until(lambda: mara.keys_with(jonas)["myPrivateKey"] != old["myPrivateKey"], "new keys")
    new = mara.keys_with(jonas)
    choose(mara, file)
    choice = mara.page.get_by_label(f"Use the keys from the backup for {jonas.username}")
    choice.set_checked(takes_backup)
    mara.button("Import").click()
    expect(result(mara)).to_have_text("Imported keys for 1 contact.")
    mara.button("Close settings").click()
    current, other = (old, new) if takes_backup else (new, old)
    kept = mara.keys_with(jonas)
    assert (kept["myPrivateKey"], kept["theirPublicKey"]) == (current["myPrivateKey"], current["theirPublicKey"])
    assert other["myPrivateKey"] in [pair["myPrivateKey"] for pair in kept["retired"]]
    mara.reload()
    mara.open_chat(jonas)
    expect(mara.page.locator(".message .body")).to_have_text(words)


def test_there_is_nothing_to_export_before_the_first_exchange(enter: Enter) -> None:
    mara = enter("mara")
    mara.button("Export Keys").click()
    mara.button("Export encryption keys").click()
    expect(mara.banner).to_contain_text("There are no keys to export yet")
