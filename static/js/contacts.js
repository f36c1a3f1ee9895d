// The contact panel: the list, searching and adding, presence, unread counts.

import { addContact, contactOf, onChange, read, update } from "./keystore.js";
import { fromTemplate, me, part } from "./session.js";
import { say } from "./status.js";
import { exactTime, relativeTime } from "./times.js";
import { on } from "./wire.js";

const MINUTE_MS = 60_000;

const list = part(".contact-list");
const empty = part(".no-contacts");

/** Contact ids that are online now. @type {Set<string>} */
const online = new Set();
/** @type {((id: string, isOnline: boolean) => void)[]} */
const presenceListeners = [];
let openId = "";
/** @type {(id: string) => void} */
let open = () => {};

/** Whether a contact is online. @param {string} id */
export const isOnline = (id) => online.has(id);
/** Called when somebody comes or goes. @param {(id: string, isOnline: boolean) => void} listener */
export const onPresence = (listener) => presenceListeners.push(listener);

/** Show which conversation is open, "" for none. @param {string} id */
export function markOpen(id) {
  openId = id;
  render();
}

/** Draw the list anew; rows keep their element, so that focus stays where it is. */
export function render() {
  const { contacts } = read();
  const rows = new Map([...list.children].map((item) => [/** @type {HTMLElement} */ (item).dataset.id, item]));
  const ordered = [...contacts].sort(
    (one, other) =>
      (other.lastActivity ?? "").localeCompare(one.lastActivity ?? "") || one.username.localeCompare(other.username),
  );
  const items = ordered.map((contact) => {
    const item = /** @type {HTMLElement} */ (rows.get(contact.customId) ?? fromTemplate("contact-row"));
    item.dataset.id = contact.customId;
    fill(item, contact);
    return item;
  });
  const focused = document.activeElement;
  if (items.some((item, index) => list.children[index] !== item) || items.length !== list.children.length) {
    list.replaceChildren(...items);
    if (focused instanceof HTMLElement && list.contains(focused)) focused.focus();
  }
  empty.hidden = contacts.length > 0;
  const unread = contacts.reduce((sum, contact) => sum + (contact.unread ?? 0), 0);
  document.title = unread > 0 ? `(${unread}) Sotto` : "Sotto";
}

/** @param {HTMLElement} item @param {import("./keystore.js").Contact} contact */
function fill(item, contact) {
  const { customId, username, hasKeys, lastActivity, unread = 0 } = contact;
  const here = online.has(customId);
  const button = part("button", item);
  button.setAttribute(
    "aria-label",
    `Chat with ${username} (${here ? "online" : "offline"})${hasKeys ? "" : " - keys not exchanged"}`,
  );
  if (customId === openId) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  button.dataset.online = String(here);
  part(".initial", item).textContent = (Array.from(username)[0] ?? "?").toUpperCase();
  part(".avatar", item).dataset.hue = String([...customId].reduce((sum, digit) => sum + Number(digit) || 0, 0) % 6);
  part(".name", item).textContent = username;
  part(".activity", item).textContent = describe(contact, here);
  const time = part(".last-time", item);
  time.textContent = lastActivity ? relativeTime(lastActivity) : "";
  time.title = lastActivity ? exactTime(lastActivity) : "";
  part(".lock", item).hidden = hasKeys;
  const count = part(".unread", item);
  count.hidden = unread === 0;
  count.textContent = unread > 99 ? "99+" : String(unread);
  // The name of the row is a contract; how much is unread is its description.
  if (unread > 0) button.setAttribute("aria-description", `${unread} unread`);
  else button.removeAttribute("aria-description");
}

/** @param {import("./keystore.js").Contact} contact @param {boolean} here */
function describe({ hasKeys, state }, here) {
  if (hasKeys) return here ? "online" : "offline";
  if (state === "pending") return "Key request sent";
  return state === "rejected" ? "Key exchange declined" : "Keys not exchanged";
}

/** Add a contact by id. @param {string} customId @param {string} username */
export async function add(customId, username) {
  await update((book) => addContact(book, { customId, username }));
}

/** Add whoever wrote to me without being a contact here, so that what they wrote has a place. @param {string} customId */
export async function addWriter(customId) {
  if (contactOf(read(), customId)) return;
  const answer = await fetch(`/api/chat/user/${customId}`);
  const { username } = answer.ok ? await answer.json() : { username: customId };
  await add(customId, username);
}

/** @param {{userId: string, isOnline: boolean}} status */
function onStatus({ userId, isOnline: here }) {
  const isNews = here !== online.has(userId);
  if (here) online.add(userId);
  else online.delete(userId);
  render();
  void update((book) => {
    const contact = contactOf(book, userId);
    if (contact) contact.isOnline = here;
  });
  if (isNews) for (const listener of presenceListeners) listener(userId, here);
}

/** Nobody is known to be here while the line is down. */
export function forgetPresence() {
  online.clear();
  render();
}

/** @param {Event} event */
async function onAdd(event) {
  const button = /** @type {HTMLElement} */ (event.target).closest("[data-add-contact]");
  if (!(button instanceof HTMLElement)) return;
  const { addContact: id = "", username = "" } = button.dataset;
  await add(id, username);
  part("#search-result").replaceChildren();
  /** @type {HTMLInputElement} */ (part("#contact-id")).value = "";
  open(id);
}

/** Say “already in contacts” without asking the server. @param {Event} event */
function onSearch(event) {
  const { detail } = /** @type {CustomEvent<{elt: HTMLElement}>} */ (event);
  if (!detail.elt.matches(".add-contact")) return;
  const id = /** @type {HTMLInputElement} */ (part("#contact-id")).value.replace(/\s+/g, "");
  const known = contactOf(read(), id);
  const sentence = id === me.customId ? "You cannot add yourself." : known ? "User already in contacts." : "";
  if (!sentence) return;
  event.preventDefault();
  const alert = document.createElement("p");
  alert.className = "field-error";
  alert.setAttribute("role", "alert");
  alert.textContent = sentence;
  part("#search-result").replaceChildren(alert);
}

async function copyId() {
  try {
    await navigator.clipboard.writeText(me.customId);
    say("Your ID is copied.", "good");
  } catch (fault) {
    if (!(fault instanceof DOMException)) throw fault;
    say("Copying is not allowed here: select the number and copy it.", "bad");
  }
}

/** Begin. @param {{onOpen: (id: string) => void}} options */
export function startContacts({ onOpen }) {
  open = onOpen;
  list.addEventListener("click", (event) => {
    const item = /** @type {HTMLElement} */ (event.target).closest("li");
    if (item?.dataset.id) open(item.dataset.id);
  });
  part("#search-result").addEventListener("click", (event) => void onAdd(event));
  document.addEventListener("htmx:beforeRequest", onSearch);
  for (const button of document.querySelectorAll("#copy-id, [data-copy-id]")) {
    button.addEventListener("click", () => void copyId());
  }
  on("update_user_status", onStatus);
  onChange(render);
  setInterval(render, MINUTE_MS);
  render();
}
