// What arrives: every message exactly once and in order, in this tab, whatever was missed while the line was down.

import { contactOf, onChange, read, update } from "./keystore.js";
import { me } from "./session.js";
import { on, request, WireFault } from "./wire.js";

/**
 * @typedef {{_id: string, seq: number, senderId: string, receiverId: string, type: string, text: string,
 *   fileUrl: string | null, fileName: string | null, createdAt: string}} WireMessage
 * @typedef {{upToSeq: number, lastSeq: number, delivered: number, read: number, readByMe: number}} Standing
 */

// Receipts are gathered for this long: one event for a burst of messages, not one each.
const RECEIPT_MS = 250;
// A gap in the numbers is a message that is still on its way, or one that will never come: it is asked for after this,
// and again after twice as long, until the server says which.
const GAP_MS = 1000;
const GAP_MAX_MS = 16_000;
// When the server asks everybody to sync, not all do so at once.
const SYNC_SPREAD_MS = 3000;
// What was missed in more than this many messages is not searched for numbers that were never used.
const VOIDS_KEPT = 100;

/** Contact id → the seq up to which this tab has everything. @type {Map<string, number>} */
const cursors = new Map();
/** What arrives while a sync runs or beyond a gap, to be taken in order. @type {WireMessage[]} */
let buffered = [];
/** Contact id → numbers of my own messages beyond a gap. @type {Map<string, Set<number>>} */
const ownBeyond = new Map();
/** Contact id → numbers the server called void; should one come after all, it is news. @type {Map<string, Set<number>>} */
const voided = new Map();
let syncing = false;
let hasSynced = false;
let syncs = 0;
/** What is to be reported: contact id → seq, by event. @type {Record<"message_received" | "message_read", Map<string, number>>} */
const receipts = { message_received: new Map(), message_read: new Map() };
/** Faults that pass by themselves. */
const PASSING = new Set(["rate_limited", "busy", "offline", "timeout"]);
let receiptTimer = 0;
let gapTimer = 0;
let gapMs = GAP_MS;

/** @type {((contactId: string, messages: WireMessage[]) => void)[]} */
const messageListeners = [];
/** @type {((contactId: string, standing: Standing) => void)[]} */
const standingListeners = [];

/** @type {((contactId: string) => void)[]} */
const lossListeners = [];

/** The other one of a message's two people. @param {WireMessage} message */
export const contactIdOf = (message) => (message.senderId === me.customId ? message.receiverId : message.senderId);

/** Called with new messages of one conversation, in order. @param {(contactId: string, messages: WireMessage[]) => void} listener */
export const onMessages = (listener) => messageListeners.push(listener);
/** Called with where a conversation stands, after each sync. @param {(contactId: string, standing: Standing) => void} listener */
export const onStanding = (listener) => standingListeners.push(listener);

/** Called when the server has less of a conversation than it had. @param {(contactId: string) => void} listener */
export const onLoss = (listener) => lossListeners.push(listener);

/** @param {string} contactId */
function cursorOf(contactId) {
  return cursors.get(contactId) ?? contactOf(read(), contactId)?.lastSeq;
}

/** @param {string} contactId @param {number} seq */
function advance(contactId, seq) {
  let reached = Math.max(seq, cursorOf(contactId) ?? 0);
  const own = ownBeyond.get(contactId);
  while (own?.delete(reached + 1)) reached += 1;
  cursors.set(contactId, reached);
}

/** A message of mine was acknowledged. @param {string} contactId @param {number} seq @param {string} createdAt ISO 8601 */
export function noteOwn(contactId, seq, createdAt) {
  const cursor = cursorOf(contactId);
  if (cursor === undefined || seq === cursor + 1) {
    advance(contactId, seq);
    void remember(contactId, [], seq, createdAt);
  } else if (seq > cursor) {
    setOf(ownBeyond, contactId).add(seq); // what lies between is still to come
  }
}

/** @param {Map<string, Set<number>>} map @param {string} contactId */
function setOf(map, contactId) {
  const found = map.get(contactId) ?? new Set();
  map.set(contactId, found);
  return found;
}

/**
 * Keep in the contact what all tabs share: the newest seq, the hour, and how much is unread.
 * @param {string} contactId
 * @param {WireMessage[]} messages
 * @param {number} seq
 * @param {string | undefined} at when the newest was sent, ISO 8601
 */
async function remember(contactId, messages, seq, at) {
  await update((book) => {
    const contact = contactOf(book, contactId);
    if (!contact) return;
    const known = contact.lastSeq ?? 0;
    // Only the first tab that stores a message counts it.
    const unread = messages.filter((message) => message.seq > known && message.senderId === contactId).length;
    contact.unread = (contact.unread ?? 0) + unread;
    contact.lastSeq = Math.max(known, seq);
    contact.lastActivity = at ?? contact.lastActivity;
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
  void remember(contactId, messages, last.seq, last.createdAt);
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
  if (voided.get(contactId)?.delete(message.seq)) {
    take(contactId, [message]);
  } else if (syncing || (cursor !== undefined && message.seq > cursor + 1)) {
    buffered.push(message);
    if (!syncing) askForGap();
  } else if (cursor === undefined || message.seq > cursor) {
    take(contactId, [message]);
    if (buffered.length > 0) drain({});
  }
}

function askForGap() {
  gapTimer ||= setTimeout(() => void sync().catch(onSyncFault), gapMs);
}

/** A sync that failed with the line is done again when the line is back. @param {unknown} fault */
function onSyncFault(fault) {
  if (!(fault instanceof WireFault)) throw fault;
  if (PASSING.has(fault.code) && fault.code !== "offline") askForGap();
}

/**
 * Take what was buffered, as far as it leaves no gap.
 * @param {Record<string, Standing>} standings up to whose `upToSeq` there are no gaps any more, only numbers never used
 */
function drain(standings) {
  /** @type {Map<string, WireMessage[]>} */
  const waiting = new Map();
  for (const message of buffered) {
    const contactId = contactIdOf(message);
    waiting.set(contactId, [...(waiting.get(contactId) ?? []), message]);
  }
  buffered = [];
  for (const [contactId, messages] of waiting) {
    const seen = cursorOf(contactId);
    const bySeq = new Map(messages.map((message) => [message.seq, message]));
    const ordered = [...bySeq.values()].sort((one, other) => one.seq - other.seq);
    const settled = standings[contactId]?.upToSeq ?? 0;
    let reached = seen ?? Number.POSITIVE_INFINITY; // nothing known of them: whatever comes is the beginning
    const ready = ordered.filter(({ seq }) => {
      if (seq <= (seen ?? 0)) return false;
      while (ownBeyond.get(contactId)?.has(reached + 1)) reached += 1;
      if (seq > reached + 1 && seq > settled) return false;
      reached = Math.max(reached, seq);
      return true;
    });
    buffered.push(...ordered.filter(({ seq }) => seq > reached));
    take(contactId, ready);
  }
}

/** Ask for everything this tab has missed, and take it in order. */
export async function sync() {
  clearTimeout(gapTimer);
  gapTimer = 0;
  syncing = true;
  syncs += 1;
  const mine = syncs;
  /** @type {Record<string, number>} */
  const reached = {};
  for (const { customId } of read().contacts) {
    const cursor = cursorOf(customId);
    if (cursor !== undefined && /^\d{12}$/.test(customId)) reached[customId] = cursor;
  }
  const answer = await request("user_connected", { customId: me.customId, sync: reached }).finally(() => {
    if (mine === syncs) syncing = false; // one on a line that was lost may fail long after the next began
  });
  const standings = /** @type {Record<string, Standing>} */ (answer.standing);
  for (const [contactId, { lastSeq }] of Object.entries(standings)) {
    if (lastSeq < (reached[contactId] ?? 0)) await goBack(contactId, lastSeq);
  }
  for (const [contactId, { upToSeq }] of Object.entries(standings)) noteVoids(contactId, reached[contactId], upToSeq);
  drain(standings);
  for (const [contactId, standing] of Object.entries(standings)) {
    advance(contactId, standing.upToSeq);
    await noteReadElsewhere(contactId, standing.readByMe);
    for (const listener of standingListeners) listener(contactId, standing);
  }
  if (answer.more) return sync();
  hasSynced = true;
  keepBeginnings();
  gapMs = buffered.length > 0 ? Math.min(gapMs * 2, GAP_MAX_MS) : GAP_MS;
  if (buffered.length > 0) askForGap();
}

/**
 * The server was put back to an earlier state: what comes from there on is news, whatever its number was before.
 * @param {string} contactId
 * @param {number} lastSeq
 */
async function goBack(contactId, lastSeq) {
  cursors.set(contactId, lastSeq);
  ownBeyond.delete(contactId);
  voided.delete(contactId);
  await update((book) => {
    const contact = contactOf(book, contactId);
    if (contact) Object.assign(contact, { lastSeq, readSeq: Math.min(contact.readSeq ?? 0, lastSeq) });
  });
  for (const listener of lossListeners) listener(contactId);
}

/**
 * Keep where a conversation stood when its keys came to this browser: from there on what comes is news here, even if
 * another browser, which may not be able to open it, takes it first.
 */
function keepBeginnings() {
  if (!hasSynced) return;
  for (const { customId, hasKeys, lastSeq } of read().contacts) {
    if (hasKeys && lastSeq === undefined) void remember(customId, [], cursors.get(customId) ?? 0, undefined);
  }
}

/** What I have read in another browser is not unread here. @param {string} contactId @param {number} readByMe */
async function noteReadElsewhere(contactId, readByMe) {
  const known = contactOf(read(), contactId);
  if (!known || readByMe < (cursorOf(contactId) ?? 0) || readByMe <= (known.readSeq ?? 0)) return;
  await update((book) => {
    const contact = contactOf(book, contactId);
    if (contact) Object.assign(contact, { unread: 0, readSeq: Math.max(contact.readSeq ?? 0, readByMe) });
  });
}

/** @param {string} contactId @param {number | undefined} from @param {number} upTo */
function noteVoids(contactId, from, upTo) {
  if (from === undefined || upTo - from > VOIDS_KEPT) return;
  const there = new Set(buffered.filter((message) => contactIdOf(message) === contactId).map(({ seq }) => seq));
  for (let seq = from + 1; seq <= upTo; seq += 1) {
    if (!there.has(seq) && !ownBeyond.get(contactId)?.has(seq)) setOf(voided, contactId).add(seq);
  }
}

/** Begin to listen. */
export function startSync() {
  onChange(keepBeginnings);
  on("receive_message", receive);
  on("message_sent", receive);
  on("sync_again", () => setTimeout(() => void sync().catch(onSyncFault), Math.random() * SYNC_SPREAD_MS));
}
