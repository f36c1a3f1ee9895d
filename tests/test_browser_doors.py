"""What the page may do and fetch: the policy holds in use, nothing comes from elsewhere, and what came once stays."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Request, expect

from tests.browser import Enter, Person, connect, talk
from tests.people import PASSPHRASE

pytest_plugins = ["tests.doorway"]

Pair = tuple[Person, Person]


def test_a_tour_of_everything_breaks_no_policy_and_asks_no_other_origin(enter: Enter) -> None:
    mara, jonas = enter("mara", signed_in=False), enter("jonas")
    mara.page.goto(mara.origin)
    mara.page.get_by_placeholder("Username").fill(mara.username)
    mara.page.get_by_placeholder("Secret Passphrase").fill(PASSPHRASE)
    mara.button("Enter Chat").click()
    mara.id = mara.page.locator(".my-id-display strong").inner_text()
    mara.settle()
    expect(mara.page.get_by_alt_text("QR code of my ID")).to_be_visible()
    connect(mara, jonas)
    talk(mara, jonas)
    mara.write("a link https://example.org and <b>markup</b>")
    mara.button("Exchange new keys").click()
    mara.button("Keep the keys").click()
    mara.button("Open settings").click()
    mara.button("Close settings").click()
    mara.reload()
    mara.open_chat(jonas)
    mara.button("Logout from application").click()
    expect(mara.page.get_by_role("heading", name="Chat Login")).to_be_visible()
    for person in (mara, jonas):
        assert not [fault for fault in person.record.faults if "CSP" in fault]
        asked = {urlsplit(request.split()[1])[:2] for request in person.record.requests}
        assert asked <= {urlsplit(person.origin)[:2], ("blob", "")}


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("(0, eval)(\"'through'\")", id="eval"),
        pytest.param("new Function('return 1')()", id="Function"),
        pytest.param("document.createElement('script').text = 'globalThis.ran = true'", id="script text"),
        pytest.param("document.createElement('b').setAttribute('onclick', 'globalThis.ran = true')", id="handler"),
        pytest.param("trustedTypes.createPolicy('mine', { createHTML: (text) => text })", id="another policy"),
    ],
)
def test_no_string_becomes_script(pair: Pair, script: str) -> None:
    mara, _ = pair
    mara.tolerate("CSP (script-src|require-trusted-types-for|trusted-types) ", "Trusted", "Content Security Policy")
    # From a timer: what Playwright itself evaluates may, the page may not.
    mara.page.evaluate(
        f"""() => setTimeout(() => {{
          try {{ globalThis.outcome = String({script}); }} catch (fault) {{ globalThis.outcome = fault.name; }}
        }})"""
    )
    outcome = mara.until(lambda: mara.page.evaluate("globalThis.outcome"), "the attempt")
    assert outcome in ("EvalError", "TypeError")
    mara.until(lambda: [fault for fault in mara.record.faults if "CSP " in fault], "the violation")
    mara.page.evaluate("delete globalThis.outcome")


def test_an_inline_script_the_server_is_tricked_into_does_not_run(pair: Pair) -> None:
    mara, _ = pair
    mara.tolerate("CSP script-src", "Content Security Policy")
    mara.page.route(
        mara.origin + "/",
        lambda route: (
            (page := route.fetch())
            and route.fulfill(
                response=page, body=page.text().replace("<body", "<script>globalThis.ran = 1</script><body")
            )
        ),
    )
    mara.tolerate("LOCAL_NETWORK_ACCESS")  # the line of a page that was handed to Chromium
    mara.page.goto(mara.origin)
    mara.until(
        lambda: [fault for fault in mara.record.faults if "CSP script-src-elem inline" in fault], "the violation"
    )
    assert mara.page.evaluate("globalThis.ran") is None
    mara.page.unroute(mara.origin + "/")
    mara.page.goto("about:blank")


@pytest.mark.parametrize(
    ("markup", "left"),
    [
        ('<img src="x" onerror="alert(1)">', '<img src="x">'),
        ("<p>words<script>alert(1)</script></p>", "<p>words</p>"),
        ('<a href="javascript:alert(1)">words</a>', "<a>words</a>"),
        ('<svg><use href="https://example.org/x.svg#a"></use></svg>', "<svg><use></use></svg>"),
        ('<form action="https://example.org/"><input name="id"></form>', None),
    ],
)
def test_markup_from_a_string_is_sanitised(pair: Pair, markup: str, left: str | None) -> None:
    mara, _ = pair
    # The image asks for x, and its handler is refused before the sanitiser takes it away.
    mara.tolerate_status(404)
    mara.tolerate("CSP script-src-attr", "Executing inline event handler")
    result = mara.page.evaluate(
        """(markup) => {
          const place = document.createElement("div");
          place.innerHTML = markup;
          return place.innerHTML;
        }""",
        markup,
    )
    if left is not None:
        assert result == left
    assert "alert" not in result


def test_a_repeat_visit_fetches_the_page_and_what_is_alive_only(enter: Enter) -> None:
    mara = enter("mara")
    fetched: list[str] = []

    def note(request: Request) -> None:
        sizes = request.sizes()
        if sizes["responseBodySize"] + sizes["responseHeadersSize"] > 0:
            fetched.append(urlsplit(request.url).path)

    mara.page.goto("about:blank")
    mara.page.on("requestfinished", note)
    mara.page.goto(mara.origin)
    expect(mara.page.get_by_alt_text("QR code of my ID")).to_be_visible()
    mara.until(lambda: "/" in fetched, "the page")
    served = [path for path in fetched if path.startswith("/static/") and not came_from_cache(mara, path)]
    assert not served
    assert {path for path in fetched if not path.startswith("/static/")} <= {"/", "/fragments/my-id.svg"}


def came_from_cache(person: Person, path: str) -> bool:
    """Whether the browser took a file from its cache: then nothing went over the wire."""
    size: int = person.page.evaluate(
        "path => performance.getEntriesByName(new URL(path, location.href).href)[0]?.transferSize", path
    )
    return size == 0


def test_a_page_cannot_be_framed_by_another_site(pair: Pair) -> None:
    mara, _ = pair
    mara.tolerate("frame-ancestors", "ERR_BLOCKED_BY_RESPONSE", "Framing")
    framer = mara.context.new_page()
    framer.set_content(f"<iframe src='{mara.origin}/'></iframe>")
    mara.until(lambda: [one for one in mara.record.faults if "frame-ancestors" in one], "the refusal")
    assert framer.frame_locator("iframe").locator("body").get_by_text(mara.id).count() == 0
    framer.close()
