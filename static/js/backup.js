// Backup of the keys: the seed's plain file or one sealed by a passphrase, and bringing either back without loss.

import { BackupFault, checkKeyPair, checkPublicKey, KeyFault, openBackup, sealBackup } from "./crypto.js";
import { addContact, contactOf } from "./keystore.js";

const MAX_CHARS = 5_000_000;
// Press Freely's ids need not be numbers.
const ID = /^[A-Za-z0-9_-]{1,64}$/;

/**
 * @typedef {import("./keystore.js").Book} Book
 * @typedef {import("./keystore.js").ContactKeys} ContactKeys
 * @typedef {{customId: string, username: string}} KnownContact
 * @typedef {{myPrivateKey: string, myPublicKey: string, theirPublicKey: string,
 *   retired?: {myPrivateKey: string, theirPublicKey: string, until: string}[]}} Keys
 * @typedef {{contactKeys: Map<string, Keys>, myContacts: KnownContact[]}} Backup
 */

/** A file that cannot be imported; the message says why, to a person. `reason`: needs_passphrase, or malformed. */
export class ImportFault extends Error {
  /** @param {string} message @param {"needs_passphrase" | "malformed"} [reason] */
  constructor(message, reason = "malformed") {
    super(message);
    this.name = "ImportFault";
    this.reason = reason;
  }
}

/** The keys that are complete, without asks that are open. @param {Book} book */
function exported({ keys }) {
  /** @type {Record<string, Keys>} */
  const complete = {};
  for (const [id, { myPrivateKey, myPublicKey, theirPublicKey, retired }] of Object.entries(keys)) {
    if (!myPrivateKey || !myPublicKey || !theirPublicKey) continue;
    complete[id] = { myPrivateKey, myPublicKey, theirPublicKey, ...(retired?.length ? { retired } : {}) };
  }
  return complete;
}

/** The seed's `encryption_keys_backup.json`: contactKeys in clear. @param {Book} book @returns {string} JSON */
export const exportPlain = (book) => JSON.stringify(exported(book), null, 2);

/**
 * `sotto-backup.json`: keys and contacts, sealed.
 * @param {string} passphrase
 * @param {Book} book
 * @returns {Promise<string>} JSON
 */
export async function exportSealed(passphrase, book) {
  const myContacts = book.contacts.map(({ customId, username }) => ({ customId, username }));
  return JSON.stringify(await sealBackup(passphrase, JSON.stringify({ contactKeys: exported(book), myContacts })));
}

/** @param {string} text */
function parseJson(text) {
  if (text.length > MAX_CHARS) throw new ImportFault("This file is too large for a key backup.");
  try {
    return JSON.parse(text);
  } catch {
    throw new ImportFault("This file is not JSON, so it is no key backup.");
  }
}

/** @param {any} sealed @param {string | undefined} passphrase */
async function unseal(sealed, passphrase) {
  if (!passphrase) throw new ImportFault("This backup is sealed: enter its passphrase.", "needs_passphrase");
  try {
    return parseJson(await openBackup(passphrase, sealed));
  } catch (fault) {
    if (!(fault instanceof BackupFault)) throw fault;
    if (fault.reason === "malformed") throw new ImportFault("This sealed backup is damaged, or of an unknown kind.");
    throw new ImportFault("Wrong passphrase, or the file is damaged.", "needs_passphrase");
  }
}

/** @param {unknown} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/**
 * Read a backup file of either kind, and check all of it.
 * @param {string} text
 * @param {string} [passphrase]
 * @returns {Promise<Backup>} rejects with ImportFault
 */
export async function readBackup(text, passphrase) {
  let content = parseJson(text);
  if (isObject(content) && "kdf" in content) content = await unseal(content, passphrase);
  if (!isObject(content)) throw new ImportFault("This file is no key backup.");
  const raw = isObject(content.contactKeys) ? content.contactKeys : content;
  const ids = Object.keys(raw);
  if (ids.length === 0) throw new ImportFault("This backup holds no keys.");
  const contactKeys = new Map();
  for (const id of ids) contactKeys.set(id, await readKeys(id, raw[id]));
  return { contactKeys, myContacts: readContacts(content.myContacts) };
}

/** @param {string} id @param {unknown} raw @returns {Promise<Keys>} */
async function readKeys(id, raw) {
  if (!ID.test(id) || id in Object.prototype) throw new ImportFault(`“${id.slice(0, 64)}” is not the id of a contact.`);
  if (!isObject(raw)) throw new ImportFault(`Entry ${id}: there are no keys in it.`);
  const { myPrivateKey, myPublicKey, theirPublicKey, retired = [] } = raw;
  await check(`Entry ${id}: myPrivateKey and myPublicKey are not a P-256 pair.`, () =>
    checkKeyPair(myPrivateKey, myPublicKey),
  );
  await check(`Entry ${id}: theirPublicKey is not a P-256 public key.`, () => checkPublicKey(theirPublicKey));
  if (!Array.isArray(retired)) throw new ImportFault(`Entry ${id}: retired is not a list.`);
  const kept = [];
  for (const old of retired) {
    const wrong = `Entry ${id}: a retired pair is not valid.`;
    await check(wrong, () => checkKeyPair(old?.myPrivateKey, publicHalf(old?.myPrivateKey)));
    await check(wrong, () => checkPublicKey(old?.theirPublicKey));
    const until = typeof old.until === "string" ? old.until : new Date().toISOString();
    kept.push({ myPrivateKey: old.myPrivateKey, theirPublicKey: old.theirPublicKey, until });
  }
  return { myPrivateKey, myPublicKey, theirPublicKey, ...(kept.length ? { retired: kept } : {}) };
}

/** @param {unknown} privateKey @returns {string} the public JWK inside a private one; "" when it is none */
function publicHalf(privateKey) {
  if (typeof privateKey !== "string") return "";
  const { d, ...shown } = JSON.parse(privateKey);
  return JSON.stringify(shown);
}

/** @param {string} sentence @param {() => Promise<void>} test */
async function check(sentence, test) {
  try {
    await test();
  } catch (fault) {
    if (fault instanceof KeyFault || fault instanceof SyntaxError) throw new ImportFault(sentence);
    throw fault;
  }
}

/** @param {unknown} raw @returns {KnownContact[]} */
function readContacts(raw) {
  if (!Array.isArray(raw)) return [];
  return raw
    .filter((one) => isObject(one) && ID.test(one.customId) && typeof one.username === "string")
    .map(({ customId, username }) => ({ customId, username: username.slice(0, 30) }));
}

/**
 * What importing would do, by contact id.
 * @param {Book} book
 * @param {Backup} backup
 * @returns {{added: string[], same: string[], conflicts: string[]}}
 */
export function planMerge(book, { contactKeys }) {
  /** @type {{added: string[], same: string[], conflicts: string[]}} */
  const plan = { added: [], same: [], conflicts: [] };
  for (const [id, keys] of contactKeys) {
    const mine = book.keys[id];
    if (!mine?.myPrivateKey) plan.added.push(id);
    else if (mine.myPrivateKey === keys.myPrivateKey && mine.theirPublicKey === keys.theirPublicKey) plan.same.push(id);
    else plan.conflicts.push(id);
  }
  return plan;
}

/**
 * Merge a backup into a draft; no key is dropped: of two that differ, the one not current is retired.
 * @param {Book} book
 * @param {Backup} backup
 * @param {{replace: Set<string>}} choice contact ids whose current pair gives way to the backup's
 */
export function applyMerge(book, { contactKeys, myContacts }, { replace }) {
  for (const [id, imported] of contactKeys) {
    const mine = book.keys[id] ?? {};
    const takes = !mine.myPrivateKey || replace.has(id);
    const [current, other] = takes ? [imported, mine] : [mine, imported];
    const retired = mergeRetired(current, other);
    const { myPrivateKey, myPublicKey, theirPublicKey } = current;
    book.keys[id] = { ...mine, myPrivateKey, myPublicKey, theirPublicKey, ...(retired.length ? { retired } : {}) };
    addContact(book, { customId: id, username: myContacts.find(({ customId }) => customId === id)?.username ?? id });
    const contact = contactOf(book, id);
    if (contact) Object.assign(contact, { hasKeys: true, state: "connected" });
  }
  for (const contact of myContacts) addContact(book, contact);
}

/** All retired pairs of both, and `other`'s own, newest first and each once. @param {ContactKeys} current @param {ContactKeys} other */
function mergeRetired(current, other) {
  const until = new Date().toISOString();
  const { myPrivateKey, theirPublicKey } = other;
  const all = [...(current.retired ?? []), ...(other.retired ?? [])];
  if (myPrivateKey && theirPublicKey) all.unshift({ myPrivateKey, theirPublicKey, until });
  const unique = new Map(all.map((pair) => [`${pair.myPrivateKey}\n${pair.theirPublicKey}`, pair]));
  unique.delete(`${current.myPrivateKey}\n${current.theirPublicKey}`);
  return [...unique.values()];
}
