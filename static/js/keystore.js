// Keys and contacts in localStorage: one way to write (under a Web Lock), several accounts side by side.

import { openSharedDatabase } from "./database.js";

const LOCK = "sotto:keystore";
const REVISION = "keystoreRevision";
// A write reaches the other tabs within milliseconds; one that does not was lost with the browser that made it.
const CATCH_UP_MS = 1500;
const OWNER = "chatUser";
/** The names an account owns while it is logged in, and what each is when there is none. */
const NAMES = /** @type {const} */ ({ contactKeys: "{}", myContacts: "[]", declinedKeys: "{}" });

/**
 * @typedef {keyof typeof NAMES} Name
 * @typedef {{customId: string, username: string, hasKeys: boolean, isOnline: boolean,
 *   state: "added" | "pending" | "connected" | "rejected", verified?: boolean, lastSeq?: number, readSeq?: number,
 *   lastActivity?: string, unread?: number}} Contact
 * @typedef {{myPrivateKey: string, myPublicKey: string}} MyPair JWK strings
 * @typedef {{myPrivateKey: string, theirPublicKey: string}} OpeningPair JWK strings
 * @typedef {{myPrivateKey?: string, myPublicKey?: string, theirPublicKey?: string,
 *   pending?: MyPair & {askedAt: string, withdrawn?: boolean}, answer?: MyPair & {theirPublicKey: string},
 *   retired?: (OpeningPair & {until: string})[]}} ContactKeys
 *   pending: offered in an ask (askedAt "": taken back); answer: offered in an answer that may not have arrived
 * @typedef {{contacts: Contact[], keys: Record<string, ContactKeys>, declined: Record<string, string>}} Book
 *   declined: contact id → the public key that was declined
 */

/** Another account has taken over this browser's keys since this page was opened. */
export class AccountChanged extends Error {
  constructor() {
    super("Another account is logged in.");
    this.name = "AccountChanged";
  }
}

/** The browser gives no more room. */
export class StorageFull extends Error {
  constructor() {
    super("The browser's storage is full.");
    this.name = "StorageFull";
  }
}

let accountId = "";
/** @type {((change: {ownerChanged: boolean}) => void)[]} */
const listeners = [];

/** @param {string} customId */
const parkedName = (customId) => `parked:${customId}`;

function ownerId() {
  try {
    return /** @type {string} */ (JSON.parse(localStorage.getItem(OWNER) ?? "null")?.customId ?? "");
  } catch {
    return "";
  }
}

/** @param {boolean} ownerChanged */
function tell(ownerChanged) {
  for (const listener of listeners) listener({ ownerChanged });
}

/** Called after every change, from this tab or another. @param {(change: {ownerChanged: boolean}) => void} listener */
export function onChange(listener) {
  listeners.push(listener);
}

globalThis.addEventListener("storage", ({ key }) => {
  if (!accountId) return;
  if (key === null || key === OWNER) tell(ownerId() !== accountId);
  else if (key in NAMES) tell(false);
});

/**
 * Make an account the owner of this browser's names; another's are parked whole, its own come back.
 * @param {{customId: string, username: string}} account
 * @returns {Promise<{damaged: string[]}>} names that did not parse, and were set aside under `damaged:<name>:<time>`
 */
export async function openAccount({ customId, username }) {
  const { result: damaged } = await inTurn(() => {
    const owner = ownerId();
    if (owner !== customId) {
      if (owner) park(owner);
      restore(customId);
    }
    localStorage.setItem(OWNER, JSON.stringify({ customId, username }));
    return { result: setDamagedAside(), written: true };
  });
  accountId = customId;
  return { damaged };
}

const shared = openSharedDatabase();
const revision = () => Number(localStorage.getItem(REVISION) ?? 0);

/**
 * Do a piece of work on what is kept while no other tab does. What the last one wrote may be behind the lock: tabs are
 * processes, each with a copy of localStorage that follows the others' by messages. IndexedDB is one for all of them,
 * so the number of writes is noted there, too, and a copy that has not reached it is waited for.
 * @template T
 * @param {() => {result: T, written: boolean} | Promise<{result: T, written: boolean}>} work
 * @returns {Promise<{result: T, written: boolean}>}
 */
async function inTurn(work) {
  const database = await shared;
  return await navigator.locks.request(LOCK, async () => {
    const reached = Number((await database?.get("revisions", "keystore")) ?? 0);
    if (revision() < reached) await caughtUp(reached);
    const done = await work();
    if (done.written) {
      const next = Math.max(revision(), reached) + 1;
      put(REVISION, String(next));
      await database?.put("revisions", next, "keystore");
    }
    return done;
  });
}

/** @param {number} reached @returns {Promise<void>} */
function caughtUp(reached) {
  return new Promise((resolve) => {
    const look = () => {
      if (revision() < reached) return;
      clearTimeout(timer);
      removeEventListener("storage", look);
      resolve();
    };
    const timer = setTimeout(() => {
      removeEventListener("storage", look);
      resolve();
    }, CATCH_UP_MS);
    addEventListener("storage", look);
    look();
  });
}

/** @param {string} customId */
function park(customId) {
  /** @type {Record<string, string | null>} */
  const kept = {};
  for (const name of Object.keys(NAMES)) kept[name] = localStorage.getItem(name);
  localStorage.setItem(parkedName(customId), JSON.stringify(kept));
  for (const name of Object.keys(NAMES)) localStorage.removeItem(name);
}

/** @param {string} customId */
function restore(customId) {
  const parked = localStorage.getItem(parkedName(customId));
  if (parked === null) return;
  const kept = /** @type {Record<string, string | null>} */ (JSON.parse(parked));
  for (const name of Object.keys(NAMES)) {
    const value = kept[name];
    if (typeof value === "string") localStorage.setItem(name, value);
  }
  localStorage.removeItem(parkedName(customId));
}

function setDamagedAside() {
  const damaged = [];
  for (const [name, empty] of Object.entries(NAMES)) {
    const raw = localStorage.getItem(name) ?? empty;
    if (isOfShape(raw, empty)) continue;
    localStorage.setItem(`damaged:${name}:${Date.now()}`, raw);
    localStorage.setItem(name, empty);
    damaged.push(name);
  }
  return damaged;
}

/** @param {string} raw @param {string} empty */
function isOfShape(raw, empty) {
  try {
    const value = JSON.parse(raw);
    return Array.isArray(value) === (empty === "[]") && typeof value === "object" && value !== null;
  } catch {
    return false;
  }
}

/** @param {Name} name */
const parse = (name) => JSON.parse(localStorage.getItem(name) ?? NAMES[name]);

/**
 * What is kept now, parsed afresh.
 * @returns {Book} throws AccountChanged
 */
export function read() {
  if (ownerId() !== accountId) throw new AccountChanged();
  return { contacts: parse("myContacts"), keys: parse("contactKeys"), declined: parse("declinedKeys") };
}

/**
 * Change what is kept; the only way to write. All tabs take turns, and a change that throws writes nothing.
 * @template T
 * @param {(book: Book) => T | Promise<T>} change gets a draft to change in place
 * @returns {Promise<T>} what `change` returns; rejects with AccountChanged, StorageFull
 */
export async function update(change) {
  const { result, written } = await inTurn(async () => {
    const book = read();
    const outcome = await change(book);
    return { result: outcome, written: write(book) };
  });
  if (written) tell(false);
  return result;
}

/** @param {Book} book @returns {boolean} whether anything was new */
function write(book) {
  if (ownerId() !== accountId) throw new AccountChanged();
  /** @type {[Name, unknown][]} */
  // Keys first: a crash in between then leaves a key without its mark, and never a mark without its key.
  const parts = [
    ["contactKeys", book.keys],
    ["declinedKeys", book.declined],
    ["myContacts", book.contacts],
  ];
  let written = false;
  for (const [name, value] of parts) {
    const text = JSON.stringify(value);
    if (text === (localStorage.getItem(name) ?? NAMES[name])) continue;
    put(name, text);
    written = true;
  }
  return written;
}

/** @param {string} name @param {string} text */
function put(name, text) {
  try {
    localStorage.setItem(name, text);
  } catch (fault) {
    if (fault instanceof DOMException) throw new StorageFull();
    throw fault;
  }
}

/** @param {Book} book @param {string} customId @returns {Contact | undefined} */
export const contactOf = (book, customId) => book.contacts.find((contact) => contact.customId === customId);

/** Add a contact, unless it is there. @param {Book} book @param {{customId: string, username: string}} contact */
export function addContact(book, { customId, username }) {
  if (contactOf(book, customId)) return;
  book.contacts.push({ customId, username, hasKeys: false, isOnline: false, state: "added" });
}

/**
 * The pairs that may open a message with a contact: the current one, then the retired ones, newest first.
 * @param {Book} book
 * @param {string} customId
 * @returns {OpeningPair[]}
 */
export function pairsOf(book, customId) {
  const keys = Object.hasOwn(book.keys, customId) ? book.keys[customId] : undefined;
  if (!keys) return [];
  const { myPrivateKey, theirPublicKey, retired = [] } = keys;
  return [...(myPrivateKey && theirPublicKey ? [{ myPrivateKey, theirPublicKey }] : []), ...retired];
}

/** Whether the holder of a public key seals files in chunks, with their names inside. @param {string} publicKey JWK */
export const sealsFiles = (publicKey) => (JSON.parse(publicKey).sotto?.files ?? 0) >= 2;

/**
 * Make a pair the current one; the one before it is retired, so that what it sealed stays readable.
 * @param {Book} book
 * @param {string} customId
 * @param {string} theirPublicKey
 * @param {MyPair} mine
 */
export function completeExchange(book, customId, theirPublicKey, { myPrivateKey, myPublicKey }) {
  const keys = book.keys[customId] ?? {};
  const isSame = keys.myPrivateKey === myPrivateKey && keys.theirPublicKey === theirPublicKey;
  if (!isSame && keys.myPrivateKey && keys.theirPublicKey) {
    const old = { myPrivateKey: keys.myPrivateKey, theirPublicKey: keys.theirPublicKey };
    keys.retired = [{ ...old, until: new Date().toISOString() }, ...(keys.retired ?? [])];
  }
  Object.assign(keys, { myPrivateKey, myPublicKey, theirPublicKey });
  delete keys.pending;
  book.keys[customId] = keys;
  delete book.declined[customId];
  const contact = contactOf(book, customId);
  if (contact) Object.assign(contact, { hasKeys: true, state: "connected", verified: isSame && contact.verified });
}
