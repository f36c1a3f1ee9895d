// The open conversation: header, live rows, typing, receipts of reading.

import { chose } from "./choices.js";
import { isOnline, markOpen, onPresence } from "./contacts.js";
import { ask, cancel, isPending, onIncoming, waitingRequests } from "./exchange.js";
import { contactOf, onChange, read, update } from "./keystore.js";
import { markUpTo, openRows, place, rowForMessage, rowForOutgoing, rowOf, showOutgoing } from "./messages.js";
import { messageIdOf, onOutgoing, waitingFor } from "./outbox.js";
import { loadNewest, startPaging } from "./paging.js";
import { part } from "./session.js";
import { say } from "./status.js";
import { noteOwn, onLoss, onMessages, onStanding, report } from "./sync.js";
import { on } from "./wire.js";

/** @typedef {import("./replay.js").ReplayGuard} ReplayGuard */

const NEAR_END_PX = 120;
// Longer than the sender's pause between two signs of typing, so that a lost “stopped” does not stay for ever.
const TYPING_SHOWN_MS = 5000;

const app = part(".app");
const section = part(".open-chat");
const scroll = part(".message-scroll", section);
const typing = part(".typing-indicator", section);
const newest = part(".newest", section);
/** One list element per opening: what a late answer brings for another conversation has nowhere to go. */
let list = part(".message-list", section);
/** @type {ReplayGuard} */
let guard;
let contactId = "";
let typingTimer = 0;
/** Whether the end was in view before something grew. */
let follows = true;
/** Up to which seq the open conversation's contact has received and read; a row that gets its number later takes it over. */
let reached = { delivered: 0, read: 0 };
/** @type {(() => void)[]} */
const openListeners = [];

/** The id of the open conversation's contact, "" when none is open. */
export const openContact = () => contactId;
/** Called when another conversation was opened. @param {() => void} listener */
export const onOpened = (listener) => openListeners.push(listener);

const atEnd = () => scroll.scrollHeight - scroll.scrollTop - scroll.clientHeight < NEAR_END_PX;
const toEnd = () => {
  scroll.scrollTop = scroll.scrollHeight;
};

/** Open the conversation with a contact. @param {string} id */
export async function openConversation(id) {
  if (!contactOf(read(), id)) return;
  contactId = id;
  app.dataset.view = "chat";
  part(".no-chat").hidden = true;
  section.hidden = false;
  typing.hidden = true;
  reached = { delivered: 0, read: 0 };
  const fresh = /** @type {HTMLElement} */ (list.cloneNode(false));
  list.replaceWith(fresh);
  list = fresh;
  const loading = loadNewest(list, id);
  markOpen(id);
  showHeader();
  for (const listener of openListeners) listener();
  await loading;
}

/** Back to the list, as on a phone. */
function close() {
  const row = /** @type {HTMLElement | null} */ (
    document.querySelector(`.contact-list [data-id="${contactId}"] button`)
  );
  contactId = "";
  app.dataset.view = "list";
  section.hidden = true;
  part(".no-chat").hidden = false;
  markOpen("");
  row?.focus();
}

function showHeader() {
  const book = read();
  const contact = contactOf(book, contactId);
  if (!contact) return;
  const { username, hasKeys } = contact;
  const pending = isPending(book, contactId);
  const asked = waitingRequests().some(({ fromUserId }) => fromUserId === contactId);
  part(".chat-name", section).textContent = username;
  part(".chat-presence", section).textContent = isOnline(contactId) ? "online" : "offline";
  const state = part(".key-state", section);
  state.textContent = hasKeys ? "End-to-end encrypted · not verified" : "No keys yet";
  state.dataset.keys = String(hasKeys);
  const exchange = part("#exchange-keys", section);
  exchange.hidden = !asked && (hasKeys || pending);
  part(".label", exchange).textContent = asked && hasKeys ? "Answer key request" : "Exchange Keys";
  part("#cancel-exchange", section).hidden = !pending;
  part("#rekey", section).hidden = !hasKeys || pending || asked;
  const call = part("#start-call", section);
  call.hidden = !hasKeys;
  call.setAttribute("aria-label", `Start call with ${username}`);
  const nothing = part(".no-messages", section);
  nothing.hidden = list.matches(".unloaded") || list.querySelector(".message") !== null;
  nothing.textContent = hasKeys
    ? `Say hello to ${username}. Only the two of you can read it.`
    : `Exchange keys with ${username} to write to each other.`;
}

/** Open the sealed rows of the list and keep what is in view in view. */
async function openSealed() {
  const mine = list;
  const rows = /** @type {HTMLElement[]} */ ([...mine.querySelectorAll(".message.sealed")]);
  if (rows.length === 0) return;
  await openRows(rows, contactId, guard);
  if (mine === list) showHeader();
}

/** A page of history was put into the open conversation, or the newest page did not come. */
async function onPage() {
  const mine = list;
  for (const item of waitingFor(contactId)) place(list, rowForOutgoing(item, messageIdOf(item.clientId)));
  await openSealed();
  if (mine !== list) return;
  showHeader();
  markRead();
}

/** @param {string} id @param {import("./sync.js").WireMessage[]} messages */
async function onLive(id, messages) {
  if (id !== contactId) return;
  const follow = atEnd();
  for (const message of messages) place(list, rowForMessage(message));
  showReached();
  typing.hidden = true;
  await openSealed();
  if (follow) toEnd();
  markRead();
}

/** @param {import("./outbox.js").Outgoing} item */
async function onOwn(item) {
  if (item.state === "sent" && item.seq !== undefined) noteOwn(item.contactId, item.seq, item.createdAt);
  if (item.contactId !== contactId) return;
  const id = messageIdOf(item.clientId);
  const known = rowOf(id, list);
  const row = known ?? rowForOutgoing(item, id);
  if (known) showOutgoing(known, item);
  place(list, row);
  showReached();
  if (known) return;
  await openSealed();
  toEnd();
}

/** What is on the screen of somebody who looks at it is read. */
function markRead() {
  if (!contactId || document.visibilityState !== "visible" || !document.hasFocus() || !atEnd()) return;
  // What did not open has not been read, even if it was looked at: another browser may have its keys.
  const last = [...list.querySelectorAll(".message:not(.own, .sealed, .unopened)[data-seq]")].at(-1);
  const seq = Number(/** @type {HTMLElement | undefined} */ (last)?.dataset.seq ?? 0);
  const contact = contactOf(read(), contactId);
  if (!contact || (seq <= (contact.readSeq ?? 0) && !contact.unread)) return;
  if (seq > 0 && !chose("readPrivately")) report("message_read", contactId, seq);
  const id = contactId;
  void update((book) => {
    const mine = contactOf(book, id);
    if (mine) Object.assign(mine, { unread: 0, readSeq: Math.max(mine.readSeq ?? 0, seq) });
  });
}

/** @param {{senderId: string, isTyping: boolean}} news */
function onTyping({ senderId, isTyping }) {
  if (senderId !== contactId) return;
  clearTimeout(typingTimer);
  const follow = atEnd();
  part(".typing-name", typing).textContent = contactOf(read(), senderId)?.username ?? "";
  typing.hidden = !isTyping;
  if (isTyping) typingTimer = setTimeout(() => onTyping({ senderId, isTyping: false }), TYPING_SHOWN_MS);
  if (follow) toEnd();
}

function onKeysChanged() {
  if (!contactId) return;
  showHeader();
  // New or imported keys may open what did not open before.
  for (const row of list.querySelectorAll(".message.unopened[data-text]")) row.classList.add("sealed");
  void openSealed();
}

async function onRekey() {
  const dialog = /** @type {HTMLDialogElement} */ (part("#confirm-rekey"));
  part(".name", dialog).textContent = contactOf(read(), contactId)?.username ?? "";
  dialog.showModal();
}

function bindHeader() {
  const confirm = /** @type {HTMLDialogElement} */ (part("#confirm-rekey"));
  part(".back", section).addEventListener("click", close);
  part("#exchange-keys", section).addEventListener("click", () => void ask(contactId));
  part("#cancel-exchange", section).addEventListener("click", () => void cancel(contactId));
  part("#rekey", section).addEventListener("click", () => void onRekey());
  confirm.addEventListener("click", (event) => {
    const { value } = /** @type {HTMLButtonElement} */ (event.target);
    if (value) confirm.close();
    if (value === "confirm") void ask(contactId);
  });
}

/** Begin. @param {ReplayGuard} replayGuard */
export function startConversation(replayGuard) {
  guard = replayGuard;
  bindHeader();
  startPaging(onPage);
  onMessages((id, messages) => void onLive(id, messages));
  onLoss((id) => {
    const name = contactOf(read(), id)?.username ?? id;
    say(`The server no longer has messages with ${name} that it had before. Ask who runs it.`, "bad");
    if (id === contactId) void openConversation(id);
  });
  onOutgoing((item) => void onOwn(item));
  onStanding((id, { delivered, read: readUpTo }) => {
    if (id === contactId) onStatus({ userId: id, upToSeq: delivered, status: "delivered" });
    if (id === contactId) onStatus({ userId: id, upToSeq: readUpTo, status: "read" });
  });
  on("message_status", onStatus);
  on("display_typing", onTyping);
  onPresence((id) => id === contactId && showHeader());
  onIncoming(() => contactId && showHeader());
  onChange(onKeysChanged);
  const watch = new ResizeObserver(() => follows && toEnd());
  for (const grower of [scroll, part(".message-log", section)]) watch.observe(grower);
  scroll.addEventListener("scroll", () => {
    follows = atEnd();
    newest.hidden = follows;
    markRead();
  });
  newest.addEventListener("click", toEnd);
  for (const name of ["focus", "visibilitychange"]) window.addEventListener(name, markRead);
}

/** @param {{userId: string, upToSeq: number, status: "delivered" | "read"}} news */
function onStatus({ userId, upToSeq, status }) {
  if (userId !== contactId) return;
  reached[status] = Math.max(reached[status], upToSeq);
  showReached();
}

function showReached() {
  markUpTo(list, reached.delivered, "delivered");
  markUpTo(list, reached.read, "read");
}
