// What arrives: every message exactly once and in order, in this tab, whatever was missed while the line was down.

import { contactOf, read, update } from "./keystore.js";
import { me } from "./session.js";
import { on, request, WireFault } from "./wire.js";

/**
 * @typedef {{_id: string, seq: number, senderId: string, receiverId: string, type: string, text: string,
 *   fileUrl: string | null, fileName: string | null, createdAt: string}} WireMessage
 * @typedef {{upToSeq: number, delivered: number, read: number, readByMe: number}} Standing
 */

// Receipts are gathered for this long: one event for a burst of messages, not one each.
const RECEIPT_MS = 250;
// A gap in the numbers is a message that is still on its way, or one that will never come: after this it is asked for.
const GAP_MS = 1000;

/** Contact id → the seq up to which this tab has everything. @type {Map<string, number>} */
const cursors = new Map();
/** What arrives while a sync runs, to be taken in order when it is complete. @type {WireMessage[]} */
let buffered = [];
let syncing = false;
/** What is to be reported: contact id → seq, by event. @type {Record<"message_received" | "message_read", Map<string, number>>} */
const receipts = { message_received: new Map(), message_read: new Map() };
/** Faults that pass by themselves. */
const PASSING = new Set(["rate_limited", "busy", "offline", "timeout"]);
let receiptTimer = 0;
let gapTimer = 0;

/** @type {((contactId: string, messages: WireMessage[]) => void)[]} */
const messageListeners = [];
/** @type {((contactId: string, standing: Standing) => void)[]} */
const standingListeners = [];

/** The other one of a message's two people. @param {WireMessage} message */
export const contactIdOf = (message) => (message.senderId === me.customId ? message.receiverId : message.senderId);

/** Called with new messages of one conversation, in order. @param {(contactId: string, messages: WireMessage[]) => void} listener */
export const onMessages = (listener) => messageListeners.push(listener);
/** Called with where a conversation stands, after each sync. @param {(contactId: string, standing: Standing) => void} listener */
export const onStanding = (listener) => standingListeners.push(listener);

/** @param {string} contactId */
function cursorOf(contactId) {
  return cursors.get(contactId) ?? contactOf(read(), contactId)?.lastSeq;
}

/** @param {string} contactId @param {number} seq */
function advance(contactId, seq) {
  if (seq > (cursorOf(contactId) ?? 0)) cursors.set(contactId, seq);
}

/** A message of mine was acknowledged under this number. @param {string} contactId @param {number} seq */
export function noteOwn(contactId, seq) {
  const cursor = cursorOf(contactId);
  if (cursor !== undefined && seq !== cursor + 1) return; // what lies between is still to come
  advance(contactId, seq);
  void remember(contactId, [], seq);
}

/**
 * Keep in the contact what all tabs share: the newest seq, the hour, and how much is unread.
 * @param {string} contactId
 * @param {WireMessage[]} messages
 * @param {number} seq
 */
async function remember(contactId, messages, seq) {
  await update((book) => {
    const contact = contactOf(book, contactId);
    if (!contact) return;
    const known = contact.lastSeq ?? 0;
    // Only the first tab that stores a message counts it.
    const unread = messages.filter((message) => message.seq > known && message.senderId === contactId).length;
    contact.unread = (contact.unread ?? 0) + unread;
    contact.lastSeq = Math.max(known, seq);
    contact.lastActivity = messages.at(-1)?.createdAt ?? contact.lastActivity;
  });
}

/** @param {string} contactId @param {WireMessage[]} messages */
function take(contactId, messages) {
  const last = messages[messages.length - 1];
  if (!last) return;
  advance(contactId, last.seq);
  const incoming = messages.filter((message) => message.senderId === contactId).at(-1);
  if (incoming) report("message_received", contactId, incoming.seq);
  for (const listener of messageListeners) listener(contactId, messages);
  void remember(contactId, messages, last.seq);
}

/**
 * Tell the sender that everything up to a seq has been received, or read; gathered, and told again if it gets lost.
 * @param {"message_received" | "message_read"} event
 * @param {string} senderId
 * @param {number} seq
 */
export function report(event, senderId, seq) {
  const waiting = receipts[event];
  waiting.set(senderId, Math.max(seq, waiting.get(senderId) ?? 0));
  if (!receiptTimer) receiptTimer = setTimeout(tellReceipts, RECEIPT_MS);
}

function tellReceipts() {
  receiptTimer = 0;
  for (const event of /** @type {const} */ (["message_received", "message_read"])) {
    const told = [...receipts[event]];
    receipts[event].clear();
    for (const [senderId, upToSeq] of told) {
      request(event, { senderId, upToSeq }).catch((fault) => {
        if (!(fault instanceof WireFault)) throw fault;
        if (PASSING.has(fault.code)) setTimeout(() => report(event, senderId, upToSeq), (fault.retryAfter ?? 1) * 1000);
      });
    }
  }
}

/** @param {WireMessage} message */
function receive(message) {
  const contactId = contactIdOf(message);
  const cursor = cursorOf(contactId);
  if (syncing) {
    buffered.push(message);
  } else if (cursor !== undefined && message.seq > cursor + 1) {
    buffered.push(message);
    gapTimer ||= setTimeout(() => void sync(), GAP_MS);
  } else if (cursor === undefined || message.seq > cursor) {
    take(contactId, [message]);
    if (buffered.length > 0) drain();
  }
}

function drain() {
  /** @type {Map<string, WireMessage[]>} */
  const waiting = new Map();
  for (const message of buffered) {
    const contactId = contactIdOf(message);
    waiting.set(contactId, [...(waiting.get(contactId) ?? []), message]);
  }
  buffered = [];
  for (const [contactId, messages] of waiting) {
    const seen = cursorOf(contactId) ?? 0;
    const fresh = new Map(messages.filter(({ seq }) => seq > seen).map((message) => [message.seq, message]));
    const ordered = [...fresh.values()].sort((one, other) => one.seq - other.seq);
    take(contactId, ordered);
  }
}

/** Ask for everything this tab has missed, and take it in order. */
export async function sync() {
  clearTimeout(gapTimer);
  gapTimer = 0;
  syncing = true;
  /** @type {Record<string, number>} */
  const reached = {};
  for (const { customId } of read().contacts) {
    const cursor = cursorOf(customId);
    if (cursor !== undefined && /^\d{12}$/.test(customId)) reached[customId] = cursor;
  }
  const answer = await request("user_connected", { customId: me.customId, sync: reached }).finally(() => {
    syncing = false;
  });
  drain();
  for (const [contactId, standing] of Object.entries(/** @type {Record<string, Standing>} */ (answer.standing))) {
    advance(contactId, standing.upToSeq);
    for (const listener of standingListeners) listener(contactId, standing);
  }
}

/** Begin to listen. */
export function startSync() {
  on("receive_message", receive);
  on("message_sent", receive);
}
