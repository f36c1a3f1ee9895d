// All cryptography of the client, on WebCrypto: ECDH P-256 (FIPS 186-5), AES-256-GCM (SP 800-38D), PBKDF2 (RFC 8018).

import { fromBase64, toBase64, toHex } from "./encoding.js";
import { IV_BYTES, KeyFault, makeEnvelope, OpenFault, parseEnvelope, parseKey } from "./envelope.js";

export { envelopeIv, KeyFault, OpenFault } from "./envelope.js";

const CURVE = { name: "ECDH", namedCurve: "P-256" };
// OWASP's floor for PBKDF2-HMAC-SHA-256; the ceiling keeps a hostile file from freezing the page.
const BACKUP_ITERATIONS = 600_000;
const MAX_BACKUP_ITERATIONS = 10_000_000;
const SALT_BYTES = 16;
const FILE_KEY_BYTES = 32;
const FILE_IV_BYTES = 8;

/**
 * @typedef {{privateKey: string, publicKey: string}} KeyPair JWK strings
 * @typedef {{myPrivateKey: string, theirPublicKey: string}} OpeningPair JWK strings
 * @typedef {{key: string, iv: string}} FileKey base64: 256-bit key, 8 bytes of IV
 * @typedef {{v: 1, kdf: {name: "PBKDF2", hash: "SHA-256", iterations: number, salt: string}, iv: string, content: string}} SealedBackup base64 fields
 */

/** A backup that does not open: `reason` wrong_passphrase or malformed. */
export class BackupFault extends Error {
  /** @param {"wrong_passphrase" | "malformed"} reason */
  constructor(reason) {
    super(reason);
    this.name = "BackupFault";
    this.reason = reason;
  }
}

/** Whether this page may encrypt: browsers give WebCrypto to secure contexts only. */
export const available = () => globalThis.isSecureContext && Boolean(globalThis.crypto?.subtle);

/** A random UUID (version 4). */
export const newId = () => crypto.randomUUID();

// What this client understands beyond v1, told in the public key; clients of v1 ignore the member.
const ANNOUNCED = { v: 1, files: 2 };

/** @returns {Promise<KeyPair>} a fresh ECDH P-256 pair, its public half announcing what this client understands */
export async function generateKeyPair() {
  const pair = await crypto.subtle.generateKey(CURVE, true, ["deriveKey"]);
  const privateKey = JSON.stringify(await crypto.subtle.exportKey("jwk", pair.privateKey));
  const publicJwk = await crypto.subtle.exportKey("jwk", pair.publicKey);
  return { privateKey, publicKey: JSON.stringify({ ...publicJwk, sotto: ANNOUNCED }) };
}

/** @param {string} jwk @returns {Promise<CryptoKey>} */
async function importPublicKey(jwk) {
  const { kty, crv, x, y, d } = parseKey(jwk);
  if (d !== undefined) throw new KeyFault("private_key");
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x, y }, CURVE, true, []);
  } catch {
    throw new KeyFault("malformed");
  }
}

/** @param {string} jwk @returns {Promise<CryptoKey>} */
async function importPrivateKey(jwk) {
  const { kty, crv, x, y, d } = parseKey(jwk);
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, CURVE, false, ["deriveKey"]);
  } catch {
    throw new KeyFault("malformed");
  }
}

/**
 * Refuse what is not a public P-256 key (a point on the curve, without a private part).
 * @param {string} jwk
 * @returns {Promise<void>} rejects with KeyFault
 */
export async function checkPublicKey(jwk) {
  await importPublicKey(jwk);
}

/**
 * Refuse what is not a private P-256 key, or does not belong to the public one.
 * @param {string} privateJwk
 * @param {string} publicJwk
 * @returns {Promise<void>} rejects with KeyFault
 */
export async function checkKeyPair(privateJwk, publicJwk) {
  await importPrivateKey(privateJwk);
  await importPublicKey(publicJwk);
  const [mine, shown] = [parseKey(privateJwk), parseKey(publicJwk)];
  if (mine.x !== shown.x || mine.y !== shown.y) throw new KeyFault("malformed");
}

/** Derived keys by pair: a derivation costs more than opening a message. @type {Map<string, Promise<CryptoKey>>} */
const derived = new Map();

/**
 * The message key of a pair: the 256-bit ECDH output as AES-GCM key, not extractable.
 * @param {OpeningPair} pair
 * @returns {Promise<CryptoKey>} rejects with KeyFault
 */
export function conversationKey({ myPrivateKey, theirPublicKey }) {
  const name = `${myPrivateKey}\n${theirPublicKey}`;
  let key = derived.get(name);
  if (!key) {
    key = deriveConversationKey(myPrivateKey, theirPublicKey);
    derived.set(name, key);
    key.catch(() => derived.delete(name));
  }
  return key;
}

/** @param {string} myPrivateKey @param {string} theirPublicKey */
async function deriveConversationKey(myPrivateKey, theirPublicKey) {
  const [mine, theirs] = await Promise.all([importPrivateKey(myPrivateKey), importPublicKey(theirPublicKey)]);
  const algorithm = { name: "AES-GCM", length: 256 };
  return crypto.subtle.deriveKey({ name: "ECDH", public: theirs }, mine, algorithm, false, ["encrypt", "decrypt"]);
}

/**
 * Seal a text.
 * @param {OpeningPair} pair
 * @param {string} text
 * @returns {Promise<string>} envelope: JSON `{iv: [12 integers], content: [integers]}`, the tag at the end of content
 */
export async function sealText(pair, text) {
  if (typeof text !== "string") throw new TypeError("text must be a string");
  return sealBytes(pair, new TextEncoder().encode(text));
}

/**
 * Open an envelope with the first pair that fits, the current one first, retired ones after it.
 * @param {OpeningPair[]} pairs
 * @param {string} envelope
 * @returns {Promise<string>} the text; rejects with OpenFault
 */
export async function openText(pairs, envelope) {
  const opened = await openBytes(pairs, envelope);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(opened);
  } catch {
    throw new OpenFault("damaged");
  }
}

/**
 * As `openText`, for a file in v1's form.
 * @param {OpeningPair[]} pairs
 * @param {string} envelope
 * @returns {Promise<ArrayBuffer>} rejects with OpenFault
 */
export async function openBytes(pairs, envelope) {
  const { iv, content } = parseEnvelope(envelope);
  if (pairs.length === 0) throw new OpenFault("no_keys");
  for (const pair of pairs) {
    const key = await conversationKey(pair);
    const opened = await decrypt(key, iv, content);
    if (opened !== null) return opened;
  }
  throw new OpenFault("other_keys");
}

/**
 * @param {CryptoKey} key
 * @param {Uint8Array<ArrayBuffer>} iv
 * @param {Uint8Array<ArrayBuffer>} content
 * @returns {Promise<ArrayBuffer | null>} null when it does not authenticate
 */
async function decrypt(key, iv, content) {
  try {
    return await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, content);
  } catch (fault) {
    if (fault instanceof DOMException && fault.name === "OperationError") return null;
    throw fault;
  }
}

/** SHA-256 of the raw 65-byte point, as hex. @param {string} publicKey JWK @returns {Promise<string>} */
export async function fingerprint(publicKey) {
  return sha256(await crypto.subtle.exportKey("raw", await importPublicKey(publicKey)));
}

/**
 * A fresh key for one file.
 * @returns {FileKey}
 */
export function newFileKey() {
  const key = crypto.getRandomValues(new Uint8Array(FILE_KEY_BYTES));
  return { key: toBase64(key), iv: toBase64(crypto.getRandomValues(new Uint8Array(FILE_IV_BYTES))) };
}

/**
 * Seals and opens the chunks of one file: AES-256-GCM each, IV = 8 random bytes ‖ 4-byte counter, AAD = counter ‖ last?,
 * so that a chunk that is missing, moved or doubled does not open.
 * @param {FileKey} fileKey
 */
export async function fileCipher({ key, iv }) {
  const [raw, prefix] = [fromBase64(key), fromBase64(iv)];
  if (raw?.length !== FILE_KEY_BYTES || prefix?.length !== FILE_IV_BYTES) throw new OpenFault("damaged");
  const aesKey = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  const parameters = (/** @type {number} */ index, /** @type {boolean} */ last) => {
    const chunkIv = new Uint8Array(IV_BYTES);
    chunkIv.set(prefix);
    const counter = new Uint8Array(5);
    new DataView(counter.buffer).setUint32(0, index);
    chunkIv.set(counter.subarray(0, 4), FILE_IV_BYTES);
    counter[4] = last ? 1 : 0;
    return { name: "AES-GCM", iv: chunkIv, additionalData: counter };
  };
  return {
    /** @param {BufferSource} chunk @param {number} index from 0 @param {boolean} last @returns {Promise<ArrayBuffer>} */
    seal: (chunk, index, last) => crypto.subtle.encrypt(parameters(index, last), aesKey, chunk),
    /** Rejects with OpenFault damaged. @param {BufferSource} chunk @param {number} index @param {boolean} last @returns {Promise<ArrayBuffer>} */
    async open(chunk, index, last) {
      try {
        return await crypto.subtle.decrypt(parameters(index, last), aesKey, chunk);
      } catch {
        throw new OpenFault("damaged");
      }
    },
  };
}

/** SHA-256 as hex. @param {BufferSource} data @returns {Promise<string>} */
export async function sha256(data) {
  return toHex(await crypto.subtle.digest("SHA-256", data));
}

/**
 * Seal bytes as v1 does: an envelope over a whole file, for contacts that understand no other form.
 * @param {OpeningPair} pair
 * @param {BufferSource} bytes
 * @returns {Promise<string>} envelope, about 3.7 times as long
 */
export async function sealBytes(pair, bytes) {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  return makeEnvelope(iv, await crypto.subtle.encrypt({ name: "AES-GCM", iv }, await conversationKey(pair), bytes));
}

/** @param {string} passphrase @param {Uint8Array<ArrayBuffer>} salt @param {number} iterations */
async function backupKey(passphrase, salt, iterations) {
  const secret = new TextEncoder().encode(passphrase.normalize("NFC"));
  const base = await crypto.subtle.importKey("raw", secret, "PBKDF2", false, ["deriveKey"]);
  const kdf = { name: "PBKDF2", hash: "SHA-256", salt, iterations };
  return crypto.subtle.deriveKey(kdf, base, { name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
}

/**
 * Seal a text under a passphrase.
 * @param {string} passphrase
 * @param {string} text
 * @returns {Promise<SealedBackup>}
 */
export async function sealBackup(passphrase, text) {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const key = await backupKey(passphrase, salt, BACKUP_ITERATIONS);
  const content = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(text));
  const kdf = /** @type {const} */ ({ name: "PBKDF2", hash: "SHA-256" });
  return {
    v: 1,
    kdf: { ...kdf, iterations: BACKUP_ITERATIONS, salt: toBase64(salt) },
    iv: toBase64(iv),
    content: toBase64(new Uint8Array(content)),
  };
}

/**
 * Open what `sealBackup` made.
 * @param {string} passphrase
 * @param {any} backup
 * @returns {Promise<string>} rejects with BackupFault
 */
export async function openBackup(passphrase, backup) {
  const { v, kdf, iv, content } = backup ?? {};
  const { name, hash, iterations, salt } = kdf ?? {};
  const isKnown = v === 1 && name === "PBKDF2" && hash === "SHA-256" && Number.isInteger(iterations);
  if (!isKnown || iterations < BACKUP_ITERATIONS || iterations > MAX_BACKUP_ITERATIONS) {
    throw new BackupFault("malformed");
  }
  const [saltBytes, ivBytes, contentBytes] = [fromBase64(salt), fromBase64(iv), fromBase64(content)];
  if (!saltBytes || ivBytes?.length !== IV_BYTES || !contentBytes) throw new BackupFault("malformed");
  const opened = await decrypt(await backupKey(passphrase, saltBytes, iterations), ivBytes, contentBytes);
  if (opened === null) throw new BackupFault("wrong_passphrase");
  return new TextDecoder().decode(opened);
}
