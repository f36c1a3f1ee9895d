// Key exchange: the states of the seed's diagram, each change written before it is sent and safe to repeat.

import { isOnline } from "./contacts.js";
import { checkPublicKey, generateKeyPair } from "./crypto.js";
import { addContact, completeExchange, contactOf, read, update } from "./keystore.js";
import { say } from "./status.js";
import { on, request, WireFault } from "./wire.js";

/**
 * @typedef {import("./keystore.js").Book} Book
 * @typedef {import("./keystore.js").ContactKeys} ContactKeys
 * @typedef {{fromUserId: string, fromUsername: string, publicKey: string}} Incoming
 */

/** Contacts whose ask is on its way: the server tells their presence first, which must not start another. @type {Set<string>} */
const underWay = new Set();
/** Requests that wait for an answer here, by asker. @type {Map<string, Incoming>} */
const incoming = new Map();
/** @type {(() => void)[]} */
const listeners = [];

/** Called when the requests that wait have changed. @param {() => void} listener */
export const onIncoming = (listener) => listeners.push(listener);
/** The requests that wait for an answer, oldest first. */
export const waitingRequests = () => [...incoming.values()];

const changed = () => {
  for (const listener of listeners) listener();
};

/** @param {Book} book @param {string} id @returns {ContactKeys} */
function keysOf(book, id) {
  book.keys[id] ??= {};
  return book.keys[id];
}

/** @param {string} id */
const nameOf = (id) => contactOf(read(), id)?.username ?? id;

/** Whether an ask of mine is open. @param {Book} book @param {string} id */
export const isPending = (book, id) => Boolean(book.keys[id]?.pending?.askedAt);

/**
 * Ask a contact for an exchange; when they have asked already, this is consent.
 * @param {string} id
 */
export async function ask(id) {
  if (incoming.has(id)) return accept(id);
  const fresh = await generateKeyPair();
  await update((book) => {
    const keys = keysOf(book, id);
    // A pair that was offered before is offered again: an answer to the first ask then fits the second.
    keys.pending ??= { myPrivateKey: fresh.privateKey, myPublicKey: fresh.publicKey, askedAt: "" };
    keys.pending.askedAt = new Date().toISOString();
    const contact = contactOf(book, id);
    if (contact && !contact.hasKeys) contact.state = "pending";
  });
  await sendAsk(id, true);
}

/** @param {string} id @param {boolean} aloud */
async function sendAsk(id, aloud) {
  const pending = read().keys[id]?.pending;
  if (!pending?.askedAt || (underWay.has(id) && !aloud)) return;
  underWay.add(id);
  try {
    const { delivered } = await request("request_key_exchange", {
      targetUserId: id,
      publicKey: pending.myPublicKey,
    });
    if (!delivered && isOnline(id)) {
      underWay.delete(id);
      return await sendAsk(id, aloud); // they came while the ask was on its way
    }
    if (!aloud) return;
    const name = nameOf(id);
    say(
      `Key exchange request sent to ${name}${delivered ? "" : ". They are offline and will be asked when they are back."}`,
    );
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    if (fault.unknown || fault.code === "busy") return; // asked again at the next connect
    if (fault.code === "rate_limited" && !aloud) return;
    await dropPending(id, "added");
    say(fault.message, "bad");
  } finally {
    underWay.delete(id);
  }
}

/** Take my ask back; while offline, the server hears of it at the next connect. @param {string} id */
export async function cancel(id) {
  await update((book) => {
    const pending = book.keys[id]?.pending;
    if (pending) Object.assign(pending, { askedAt: "", withdrawn: true });
    const contact = contactOf(book, id);
    if (contact?.state === "pending") contact.state = "added";
  });
  await sendCancel(id);
}

/** @param {string} id */
async function sendCancel(id) {
  try {
    await request("cancel_key_exchange", { targetUserId: id });
  } catch (fault) {
    if (fault instanceof WireFault && fault.unknown) return;
    throw fault;
  }
  await update((book) => {
    const pending = book.keys[id]?.pending;
    if (pending && !pending.askedAt) pending.withdrawn = false;
  });
}

/** @param {string} id @param {"added" | "rejected"} state */
async function dropPending(id, state) {
  return update((book) => {
    const keys = book.keys[id];
    const had = Boolean(keys?.pending?.askedAt);
    if (keys) delete keys.pending;
    const contact = contactOf(book, id);
    if (contact && !contact.hasKeys) contact.state = state;
    return had;
  });
}

/** Accept a request that waits. @param {string} id */
export async function accept(id) {
  const asked = incoming.get(id);
  if (!asked) return;
  const fresh = await generateKeyPair();
  const mine = { myPrivateKey: fresh.privateKey, myPublicKey: fresh.publicKey };
  // Kept before it is sent: whatever happens in between, the private half of what the asker receives is not lost.
  await update((book) => {
    addContact(book, { customId: id, username: asked.fromUsername });
    keysOf(book, id).answer = { ...mine, theirPublicKey: asked.publicKey };
  });
  incoming.delete(id);
  changed();
  try {
    await request("respond_key_exchange", { targetUserId: id, publicKey: mine.myPublicKey, accepted: true });
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    if (!fault.unknown) {
      await update((book) => {
        delete keysOf(book, id).answer;
      });
      say(fault.code === "not_asked" ? `${asked.fromUsername} took the request back.` : fault.message, "bad");
      return;
    }
  }
  await completeAnswer(id);
  say(`Key exchange with ${asked.fromUsername} completed!`, "good");
}

/** Make the pair that answered a request the current one. @param {string} id */
async function completeAnswer(id) {
  await update((book) => {
    const keys = keysOf(book, id);
    if (!keys.answer) return;
    const { theirPublicKey, ...mine } = keys.answer;
    delete keys.answer;
    completeExchange(book, id, theirPublicKey, mine);
  });
}

/** Decline a request that waits. @param {string} id */
export async function reject(id) {
  const asked = incoming.get(id);
  if (!asked) return;
  incoming.delete(id);
  changed();
  // Remembered, so that the same request, sent again because no answer arrived, gets the same answer.
  await update((book) => {
    book.declined[id] = asked.publicKey;
  });
  await respond(id, null);
}

/** @param {string} id @param {string | null} publicKey null declines */
async function respond(id, publicKey) {
  try {
    await request("respond_key_exchange", { targetUserId: id, publicKey, accepted: publicKey !== null });
  } catch (fault) {
    // not_asked: another tab was quicker. unknown: the asker asks again. Both end in the same state.
    if (!(fault instanceof WireFault) || !(fault.unknown || fault.code === "not_asked")) throw fault;
  }
}

/** @param {Incoming} asked */
async function onRequest(asked) {
  const { fromUserId: id, publicKey } = asked;
  await checkPublicKey(publicKey);
  /** @type {{answer?: string | null, both?: boolean, underWay?: boolean}} */
  const known = await update((book) => {
    if (book.declined[id] === publicKey) return { answer: null };
    const keys = book.keys[id];
    if (keys?.answer?.theirPublicKey === publicKey) return { underWay: true };
    if (keys?.theirPublicKey === publicKey && keys.myPublicKey) return { answer: keys.myPublicKey };
    if (!keys?.pending?.askedAt) return {};
    const { myPrivateKey, myPublicKey } = keys.pending;
    completeExchange(book, id, publicKey, { myPrivateKey, myPublicKey });
    return { answer: myPublicKey, both: true };
  });
  if (known.underWay) return;
  if (known.answer !== undefined) {
    if (known.both) say(`Key exchange with ${nameOf(id)} completed!`, "good");
    await respond(id, known.answer);
    return;
  }
  incoming.set(id, { ...asked, fromUsername: contactOf(read(), id)?.username ?? asked.fromUsername ?? id });
  changed();
}

/** @param {{fromUserId: string, publicKey: string | null, accepted: boolean}} response */
async function onResponse({ fromUserId: id, publicKey, accepted }) {
  const name = nameOf(id);
  if (!accepted) {
    if (await dropPending(id, "rejected")) say(`${name} declined key exchange`, "bad");
    return;
  }
  if (publicKey === null) return;
  await checkPublicKey(publicKey);
  const completed = await update((book) => {
    const pending = book.keys[id]?.pending;
    if (!pending) return false; // nobody asked here (or another tab has taken it): refused
    // An ask that was taken back too late for its target is consent all the same: it has the keys by now.
    const { myPrivateKey, myPublicKey } = pending;
    completeExchange(book, id, publicKey, { myPrivateKey, myPublicKey });
    return true;
  });
  if (completed) say(`Key exchange with ${name} completed!`, "good");
}

/** @param {string} id */
function withdraw(id) {
  if (incoming.delete(id)) changed();
}

/** Send the open asks again: an answer may have gone astray, or their target may be back. @param {string} [only] */
export async function askAgain(only) {
  for (const [id, { pending }] of Object.entries(read().keys)) {
    if (!pending || (only && id !== only)) continue;
    if (pending.askedAt) await sendAsk(id, false);
    else if (pending.withdrawn) await sendCancel(id);
  }
}

/** Finish what an earlier page had begun, and listen. */
export async function startExchange() {
  for (const [id, { answer }] of Object.entries(read().keys)) if (answer) await completeAnswer(id);
  on("key_exchange_request", (/** @type {Incoming} */ asked) => void onRequest(asked));
  on("key_exchange_response", (/** @type {any} */ response) => void onResponse(response));
  on("key_exchange_cancelled", (/** @type {{fromUserId: string}} */ { fromUserId }) => withdraw(fromUserId));
  on("key_exchange_handled", (/** @type {{userId: string}} */ { userId }) => withdraw(userId));
}
