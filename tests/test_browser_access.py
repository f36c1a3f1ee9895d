"""For everybody: by keyboard alone, on a phone, in light and dark, and by axe-core's rules of accessibility."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from tests.browser import Enter, Person, connect
from tests.people import PASSPHRASE

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]
AXE = (Path(__file__).parent / "js" / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
# The name of a contact's row is a contract with scripts. It has the visible label, which is the contact's name, but not
# what stands beside it (last activity, time, unread), which the rule takes for a part of the label.
BY_CONTRACT = ("label-content-name-mismatch", True)
PHONE = {"width": 390, "height": 844}
# Each layout once and each palette once: the palettes are the same colours in both layouts.
LOOKS = [
    pytest.param({"viewport": {"width": 1280, "height": 800}, "color_scheme": "light"}, id="desktop-light"),
    pytest.param({"viewport": PHONE, "color_scheme": "dark"}, id="phone-dark"),
]


def violations(person: Person) -> list[str]:
    """What axe-core finds wrong with the page as it is now."""
    person.page.evaluate(AXE)
    person.page.evaluate("Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
    found: dict[str, Any] = person.page.evaluate("axe.run()")
    return [
        f"{rule['id']}: {rule['help']}: {node['html'][:160]} {node.get('failureSummary', '')[:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
        if (rule["id"], 'class="contact-row"' in node["html"]) != BY_CONTRACT
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_every_screen_keeps_the_rules_of_accessibility(enter: Enter, look: dict[str, Any]) -> None:
    mara, jonas = enter("mara", signed_in=False, **look), enter("jonas")
    mara.tolerate_status(400)
    found: list[str] = []

    def check(screen: str) -> None:
        found.extend(f"{screen}: {wrong}" for wrong in violations(mara))

    mara.page.goto(mara.origin)
    check("login")
    mara.page.get_by_placeholder("Username").fill("ab")
    mara.button("Enter Chat").click()
    expect(mara.page.get_by_role("alert").first).to_be_visible()
    check("login refused")
    mara.sign_in()
    check("no contacts")
    mara.add(jonas)
    check("no keys")
    mara.page.goto(mara.origin)
    mara.settle()
    jonas.add(mara)
    jonas.ask()
    expect(mara.modal).to_be_visible()
    check("key exchange")
    mara.accept()
    jonas.wait_for_state(mara, "connected")
    mara.open_chat(jonas)
    mara.write("words of mine with a link https://example.org")
    expect(jonas.row(mara)).to_be_visible()
    jonas.write("and an answer")
    expect(mara.message("and an answer")).to_be_visible()
    check("conversation")
    mara.page.evaluate("document.querySelector('[data-open-settings]').click()")
    expect(mara.page.get_by_role("dialog", name="Settings")).to_be_visible()
    check("settings")
    assert not found, "\n".join(found)


def reach(person: Person, target: Locator, key: str = "Tab") -> None:
    """Go to a control by keyboard."""
    target.wait_for()
    for _ in range(40):
        if target.evaluate("one => one === document.activeElement"):
            return
        person.page.keyboard.press(key)
    raise AssertionError(f"{target} is not reached by {key}")


def test_everything_from_login_to_answer_works_by_keyboard_alone(enter: Enter) -> None:
    mara, jonas = enter("mara", signed_in=False), enter("jonas")
    keys = mara.page.keyboard
    mara.page.goto(mara.origin)
    reach(mara, mara.page.get_by_placeholder("Username"))
    keys.type(mara.username)
    keys.press("Tab")
    keys.type(PASSPHRASE)
    keys.press("Enter")
    mara.id = mara.page.locator(".my-id-display strong").inner_text()
    mara.settle()
    reach(mara, mara.page.get_by_label("Enter contact ID"))
    keys.type(jonas.id)
    keys.press("Enter")
    reach(mara, mara.button("Add"))
    keys.press("Enter")
    reach(mara, mara.button("Exchange Keys"))
    keys.press("Enter")
    reach(jonas, jonas.button("Accept key exchange request"))
    jonas.page.keyboard.press("Enter")
    mara.wait_for_state(jonas, "connected")
    jonas.wait_for_state(mara, "connected")
    reach(jonas, jonas.row(mara))
    jonas.page.keyboard.press("Enter")
    for one, other in ((mara, jonas), (jonas, mara)):
        reach(one, one.input)
        one.page.keyboard.type(f"typed by {one.username}")
        one.page.keyboard.press("Enter")
        expect(other.message(f"typed by {one.username}")).to_have_count(1)
    reach(mara, mara.button("Open settings"), "Shift+Tab")
    keys.press("Enter")
    expect(mara.page.get_by_role("dialog", name="Settings")).to_be_visible()
    keys.press("Escape")
    expect(mara.page.get_by_role("dialog", name="Settings")).to_be_hidden()
    expect(mara.button("Open settings")).to_be_focused()


def test_what_has_the_focus_is_seen(pair: Pair) -> None:
    mara, _ = pair
    for target in (
        mara.button("Open settings"),
        mara.page.get_by_label("Enter contact ID"),
        mara.button("Send message"),
    ):
        reach(mara, target, "Shift+Tab") if target != mara.button("Send message") else reach(mara, target)
        outline = target.evaluate("one => { const s = getComputedStyle(one); return s.outlineStyle + s.boxShadow; }")
        assert outline != "nonenone"


def test_on_a_phone_list_and_chat_are_two_screens_with_a_way_back(enter: Enter) -> None:
    mara = enter("mara", viewport=PHONE, has_touch=True, is_mobile=True)
    jonas = enter("jonas")
    connect(mara, jonas)
    panel, chat = mara.page.locator(".contact-panel"), mara.page.locator(".open-chat")
    expect(chat).to_be_visible()
    expect(panel).to_be_hidden()
    mara.button("Back to contacts").tap()
    expect(panel).to_be_visible()
    expect(chat).to_be_hidden()
    expect(mara.row(jonas)).to_be_focused()
    mara.row(jonas).tap()
    expect(chat).to_be_visible()
    mara.input.fill("from a phone")
    mara.button("Send message").tap()
    expect(jonas.message("from a phone")).to_have_count(1)


def test_nothing_is_wider_than_a_phone(enter: Enter) -> None:
    mara, jonas = enter("mara", viewport={"width": 320, "height": 640}), enter("jonas")
    wide = "document.documentElement.scrollWidth > innerWidth"
    assert not mara.page.evaluate(wide)
    connect(mara, jonas)
    jonas.write("a" * 300)
    expect(mara.message("aaa")).to_have_count(1)
    assert not mara.page.evaluate(wide)
    box = mara.message("aaa").locator(".bubble").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 320


def test_nothing_moves_for_who_wants_no_motion(enter: Enter) -> None:
    mara = enter("mara", reduced_motion="reduce")
    mara.button("Open settings").click()
    expect(mara.page.get_by_role("dialog", name="Settings")).to_be_visible()
    assert mara.page.evaluate("document.getAnimations().filter((one) => one.playState === 'running').length") == 0
