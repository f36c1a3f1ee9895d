// Messages on their way out: sealed, kept until the server has acknowledged them, sent in order, never twice.

import { newId, sealText } from "./crypto.js";
import { openSottoDatabase } from "./database.js";
import { pairsOf, read } from "./keystore.js";
import { me } from "./session.js";
import { request, WireFault } from "./wire.js";

/**
 * A sealed message that waits. `state`: waiting, failed (with `reason` for a person) or sent (with the server's answer).
 * @typedef {{type: string, fileUrl: string, fileName?: string}} OutgoingFile what travels in clear
 * @typedef {{clientId: string, contactId: string, text: string, file?: OutgoingFile, createdAt: string, order: number,
 *   state: "waiting" | "failed" | "sent", reason?: string, seq?: number}} Outgoing
 */

const RETRY_S = 2;
/** Refusals that pass by themselves; with the others, trying again would change nothing. */
const PASSING = new Set(["busy", "rate_limited", "timeout", "offline", "internal"]);

/** @type {Outgoing[]} */
let queue = [];
let sending = false;
let order = 0;
/** @type {((item: Outgoing) => void)[]} */
const listeners = [];
/** @type {Promise<import("idb").IDBPDatabase | null>} */
let store = Promise.resolve(null);

/** The id under which the server will keep a message of mine. @param {string} clientId */
export const messageIdOf = (clientId) => `${me.customId}:${clientId}`;

/** Called at every change of an item. @param {(item: Outgoing) => void} listener */
export const onOutgoing = (listener) => listeners.push(listener);

/** What waits for a contact, oldest first. @param {string} contactId */
export const waitingFor = (contactId) => queue.filter((item) => item.contactId === contactId);

/** @param {Outgoing} item */
function changed(item) {
  for (const listener of listeners) listener(item);
}

/** Begin with what an earlier page left behind. */
export async function startOutbox() {
  store = openSottoDatabase(me.customId);
  await adopt();
  order = (queue.at(-1)?.order ?? 0) + 1;
}

/** Take up what pages left behind that are gone; what another page still sends, too, is stored once all the same. */
async function adopt() {
  const kept = /** @type {Outgoing[]} */ ((await (await store)?.getAll("outbox")) ?? []);
  const known = new Set(queue.map(({ clientId }) => clientId));
  const left = kept.filter(({ clientId }) => !known.has(clientId));
  queue = [...queue, ...left].sort((one, other) => one.order - other.order);
  for (const item of left) changed(item);
}

/** The line is there: send what waits, of this page and of those that are gone. */
export async function resume() {
  await adopt();
  await flush();
}

/**
 * Seal a text for a contact and send it as soon as possible.
 * @param {string} contactId
 * @param {string} text "" only with a file
 * @param {OutgoingFile} [file] an upload that the message brings
 * @returns {Promise<Outgoing>} the waiting item, already kept
 */
export async function send(contactId, text, file) {
  const [pair] = pairsOf(read(), contactId);
  if (!pair) throw new Error("There are no keys for this contact.");
  /** @type {Outgoing} */
  const item = {
    clientId: newId(),
    contactId,
    text: text ? await sealText(pair, text) : "",
    ...(file ? { file } : {}),
    createdAt: new Date().toISOString(),
    order: order++,
    state: "waiting",
  };
  await (await store)?.put("outbox", item);
  queue.push(item);
  changed(item);
  void flush();
  return item;
}

/** Try a failed message again. @param {string} clientId */
export function retry(clientId) {
  const item = queue.find((one) => one.clientId === clientId);
  if (!item) return;
  item.state = "waiting";
  changed(item);
  void flush();
}

/** Send what waits, one after the other, so that the order holds. */
async function flush() {
  if (sending) return;
  sending = true;
  try {
    let item = nextWaiting();
    while (item && (await deliver(item))) item = nextWaiting();
  } finally {
    sending = false;
  }
}

const nextWaiting = () => queue.find(({ state }) => state === "waiting");

/** @param {Outgoing} item @returns {Promise<boolean>} whether to go on with the next */
async function deliver(item) {
  try {
    const { clientId, contactId: receiverId, text, file } = item;
    const message = { senderId: me.customId, receiverId, text, type: "text", clientId, ...file };
    const answer = await request("send_message", message);
    Object.assign(item, { state: "sent", seq: answer.seq, createdAt: answer.createdAt });
    queue = queue.filter((one) => one !== item);
    await (await store)?.delete("outbox", item.clientId);
    changed(item);
    return true;
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    if (PASSING.has(fault.code)) {
      // While offline, the next connect flushes; otherwise the same message goes again under the same clientId.
      if (fault.code !== "offline") setTimeout(() => void flush(), (fault.retryAfter ?? RETRY_S) * 1000);
      return false;
    }
    Object.assign(item, { state: "failed", reason: fault.message });
    changed(item);
    return true;
  }
}
