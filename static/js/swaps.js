// What htmx may put into the page: every string that becomes markup passes one Trusted Types policy that sanitises it.

// Where Trusted Types are missing (older browsers) the server's own escaping stands alone, as on any other site.

/** Attributes of our fragments that DOMPurify does not know by itself. */
const OUR_ATTRIBUTES = [
  "hx-get",
  "hx-post",
  "hx-trigger",
  "hx-target",
  "hx-swap",
  "hx-disabled-elt",
  "autofocus",
  "autocapitalize",
  "inputmode",
  "novalidate",
  "focusable",
];
const ICONS = "/static/icons/";

/**
 * The same markup without anything that could run or reach out.
 * @param {string} markup
 * @returns {string}
 */
function sanitise(markup) {
  return DOMPurify.sanitize(markup, { ADD_TAGS: ["use"], ADD_ATTR: OUR_ATTRIBUTES });
}

DOMPurify.addHook("uponSanitizeAttribute", (node, attribute) => {
  // DOMPurify drops <use> because it may fetch; ours may fetch our own icons and nothing else.
  if (node.nodeName.toLowerCase() === "use" && attribute.attrName === "href") {
    attribute.forceKeepAttr = attribute.attrValue.startsWith(ICONS);
    attribute.keepAttr = attribute.forceKeepAttr;
  }
});

window.trustedTypes?.createPolicy("default", { createHTML: sanitise });

/**
 * The value of a cookie that script may read, or "".
 * @param {string} name
 */
export function cookie(name) {
  const found = document.cookie.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found ? decodeURIComponent(found.slice(name.length + 1)) : "";
}

document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = /** @type {CustomEvent<{headers: Record<string, string>}>} */ (event);
  detail.headers["X-CSRF-TOKEN"] = cookie("sotto_csrf");
});
