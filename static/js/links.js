// Message text into the page: never as HTML, links made clickable.

const LINK = /\bhttps?:\/\/[^\s<>"']+/gi;
const TRAILING = /[.,;:!?)\]}’”]+$/;

/**
 * Replace what `element` holds by `text`, with its http(s) addresses as links.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function writeText(element, text) {
  element.replaceChildren();
  let from = 0;
  for (const match of text.matchAll(LINK)) {
    const address = match[0].replace(TRAILING, "");
    if (!URL.canParse(address)) continue;
    element.append(text.slice(from, match.index));
    const link = document.createElement("a");
    link.href = address;
    link.textContent = address;
    link.target = "_blank";
    link.rel = "noopener noreferrer";
    element.append(link);
    from = match.index + address.length;
  }
  element.append(text.slice(from));
}
