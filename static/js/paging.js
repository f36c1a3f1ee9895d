// The pages of a conversation's history as htmx brings them: what is read stays in view, and what did not come is asked
// for again.

import { part } from "./session.js";
import { on } from "./wire.js";

const scroll = part(".message-scroll");
const failure = part(".history-failed");
/** The list that pages come into, whose conversation it is, and whether its newest page is there. */
let list = part(".message-list");
let contactId = "";
/** How far (px) what is read was from the end of the list before a page came in above it. */
let placeFromEnd = 0;
/** @type {() => Promise<void>} */
let drawPage = async () => {};

/**
 * Bring the newest page into a list: `aria-busy` until it is drawn, `unloaded` as long as it is missing.
 * @param {HTMLElement} emptyList
 * @param {string} id of the contact
 */
export async function loadNewest(emptyList, id) {
  list = emptyList;
  contactId = id;
  failure.hidden = true;
  list.setAttribute("aria-busy", "true");
  list.classList.add("unloaded");
  const request = htmx.ajax("get", `/fragments/history/${id}`, { target: list, swap: "afterbegin", source: list });
  await request.catch(() => undefined); // what went wrong is an event, as it is for the pages that come by scrolling
}

/** @param {Event} event */
function beforePage(event) {
  const { detail, target } = /** @type {CustomEvent<{isError: boolean, shouldSwap: boolean}>} */ (event);
  if (!list.contains(/** @type {Node} */ (target))) return;
  if (detail.isError) detail.shouldSwap = false; // said by `failure`, and not by the error's own fragment
  placeFromEnd = scroll.scrollHeight - scroll.scrollTop;
}

/** A live message may have come while its page was on its way. */
function removeTwins() {
  const seen = new Set();
  for (const row of list.querySelectorAll(".message")) {
    const { id } = /** @type {HTMLElement} */ (row).dataset;
    if (seen.has(id)) row.remove();
    seen.add(id);
  }
}

/** @param {Event} event */
async function onPage(event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const mine = list;
  const first = target === list;
  // htmx tells of every element it put in; the first of a page stands for all.
  if (!first && !(list.contains(target) && target.matches(".earlier, .beginning"))) return;
  failure.hidden = true;
  list.classList.remove("unloaded");
  removeTwins();
  const keepPlace = () => {
    scroll.scrollTop = scroll.scrollHeight - (first ? 0 : placeFromEnd);
  };
  keepPlace(); // at once: where the page begins would come into view, and ask for the page above it
  await drawPage();
  if (mine !== list) return;
  keepPlace();
  list.removeAttribute("aria-busy");
}

/** @param {Event} event */
async function onFailure(event) {
  const mine = list;
  if (!list.contains(/** @type {Node} */ (event.target))) return;
  await drawPage();
  if (mine !== list) return;
  list.removeAttribute("aria-busy");
  failure.hidden = false;
}

/** Ask again for the page that did not come. */
function again() {
  if (failure.hidden) return;
  failure.hidden = true;
  if (list.matches(".unloaded")) void loadNewest(list, contactId);
  else list.querySelector(".earlier button")?.dispatchEvent(new Event("click"));
}

/** Begin. @param {() => Promise<void>} draw opens what came in, or shows what there is when nothing did */
export function startPaging(draw) {
  drawPage = draw;
  document.addEventListener("htmx:beforeSwap", beforePage);
  document.addEventListener("htmx:afterSwap", (event) => void onPage(event));
  for (const name of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    document.addEventListener(name, (event) => void onFailure(event));
  }
  part("button", failure).addEventListener("click", again);
  on("connect", again);
}
