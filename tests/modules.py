"""A page that holds Sotto's modules and nobody's account, to call them one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.site import Site

# The answer of a call that failed: its class and its reason.
CALL = """async ([module, code, given]) => {
  const it = await import(`/static/js/${module}.js`);
  try {
    return { value: await (new (Object.getPrototypeOf(async () => {}).constructor)("it", "given", code))(it, given) };
  } catch (fault) {
    return { fault: `${fault.name}${fault.reason ? ` ${fault.reason}` : ""}`, message: fault.message };
  }
}"""


class Modules:
    """The modules as one page of `context` has them."""

    def __init__(self, context: BrowserContext, origin: str) -> None:
        self.page: Page = context.new_page()
        # The login page has the import map, and runs nothing that could disturb.
        self.page.goto(f"{origin}/login")

    def run(self, module: str, code: str, given: Any = None) -> Any:
        """What the body `code` returns, with the module as `it` and `given`; fails the test when it throws."""
        answer = self.page.evaluate(CALL, [module, code, given])
        assert "fault" not in answer, answer
        return answer["value"]

    def fault(self, module: str, code: str, given: Any = None) -> str:
        """What `code` throws, as “Name reason”; fails the test when it does not."""
        answer = self.page.evaluate(CALL, [module, code, given])
        assert "fault" in answer, answer
        return str(answer["fault"])


@pytest.fixture(scope="module")
def modules(browser: Browser, site: Site) -> Iterator[Modules]:
    """The modules in a browser context of their own."""
    # Function bodies from text are what the page's policy forbids, and what these tests are made of.
    context = browser.new_context(bypass_csp=True)
    yield Modules(context, site.origin)
    context.close()
