// All cryptography of the client, on WebCrypto: ECDH P-256 (FIPS 186-5), AES-256-GCM (SP 800-38D), PBKDF2 (RFC 8018).

const CURVE = { name: "ECDH", namedCurve: "P-256" };
const IV_BYTES = 12;
const TAG_BYTES = 16;
const MAX_JWK_CHARS = 8192;
// OWASP's floor for PBKDF2-HMAC-SHA-256; the ceiling keeps a hostile file from freezing the page.
const BACKUP_ITERATIONS = 600_000;
const MAX_BACKUP_ITERATIONS = 10_000_000;
const SALT_BYTES = 16;

/**
 * @typedef {{privateKey: string, publicKey: string}} KeyPair JWK strings
 * @typedef {{myPrivateKey: string, theirPublicKey: string}} OpeningPair JWK strings
 * @typedef {{v: 1, kdf: {name: "PBKDF2", hash: "SHA-256", iterations: number, salt: string}, iv: string, content: string}} SealedBackup base64 fields
 */

/** A key that is not what it should be: `reason` private_key or malformed. */
export class KeyFault extends Error {
  /** @param {"private_key" | "malformed"} reason */
  constructor(reason) {
    super(reason === "private_key" ? "This is a private key." : "This is not a P-256 key.");
    this.name = "KeyFault";
    this.reason = reason;
  }
}

/** A message that does not open: `reason` damaged, other_keys or no_keys. */
export class OpenFault extends Error {
  /** @param {"damaged" | "other_keys" | "no_keys"} reason */
  constructor(reason) {
    super(reason);
    this.name = "OpenFault";
    this.reason = reason;
  }
}

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

/** @returns {Promise<KeyPair>} a fresh ECDH P-256 pair */
export async function generateKeyPair() {
  const pair = await crypto.subtle.generateKey(CURVE, true, ["deriveKey"]);
  const [privateKey, publicKey] = await Promise.all(
    [pair.privateKey, pair.publicKey].map(async (key) => JSON.stringify(await crypto.subtle.exportKey("jwk", key))),
  );
  return { privateKey: /** @type {string} */ (privateKey), publicKey: /** @type {string} */ (publicKey) };
}

/**
 * @param {string} jwk
 * @returns {JsonWebKey} the parsed P-256 key, its members not yet proven to be a point
 */
function parseKey(jwk) {
  if (typeof jwk !== "string" || jwk.length > MAX_JWK_CHARS) throw new KeyFault("malformed");
  let key;
  try {
    key = JSON.parse(jwk);
  } catch (fault) {
    throw new KeyFault("malformed");
  }
  if (key?.kty !== "EC" || key.crv !== "P-256") throw new KeyFault("malformed");
  return key;
}

/** @param {string} jwk @returns {Promise<CryptoKey>} */
async function importPublicKey(jwk) {
  const { kty, crv, x, y, d } = parseKey(jwk);
  if (d !== undefined) throw new KeyFault("private_key");
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x, y }, CURVE, true, []);
  } catch (fault) {
    throw new KeyFault("malformed");
  }
}

/** @param {string} jwk @returns {Promise<CryptoKey>} */
async function importPrivateKey(jwk) {
  const { kty, crv, x, y, d } = parseKey(jwk);
  try {
    return await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, CURVE, false, ["deriveKey"]);
  } catch (fault) {
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
  const key = await conversationKey(pair);
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const content = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, new TextEncoder().encode(text));
  return JSON.stringify({ iv: [...iv], content: [...new Uint8Array(content)] });
}

/** @param {unknown} value @param {number} least @returns {Uint8Array<ArrayBuffer>} */
function bytes(value, least) {
  const isByte = (/** @type {unknown} */ item) => Number.isInteger(item) && Number(item) >= 0 && Number(item) <= 255;
  if (!Array.isArray(value) || value.length < least || !value.every(isByte)) throw new OpenFault("damaged");
  return Uint8Array.from(value);
}

/** @param {string} envelope */
function parseEnvelope(envelope) {
  let parsed;
  try {
    parsed = JSON.parse(envelope);
  } catch (fault) {
    throw new OpenFault("damaged");
  }
  const iv = bytes(parsed?.iv, IV_BYTES);
  if (iv.length !== IV_BYTES) throw new OpenFault("damaged");
  return { iv, content: bytes(parsed.content, TAG_BYTES) };
}

/** The IV of an envelope as 24 hex digits; throws OpenFault damaged. @param {string} envelope */
export function envelopeIv(envelope) {
  return Array.from(parseEnvelope(envelope).iv, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Open an envelope with the first pair that fits, the current one first, retired ones after it.
 * @param {OpeningPair[]} pairs
 * @param {string} envelope
 * @returns {Promise<string>} the text; rejects with OpenFault
 */
export async function openText(pairs, envelope) {
  const { iv, content } = parseEnvelope(envelope);
  if (pairs.length === 0) throw new OpenFault("no_keys");
  for (const pair of pairs) {
    const key = await conversationKey(pair);
    const opened = await decrypt(key, iv, content);
    if (opened === null) continue;
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(opened);
    } catch (fault) {
      throw new OpenFault("damaged");
    }
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
  const raw = await crypto.subtle.exportKey("raw", await importPublicKey(publicKey));
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", raw));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {Uint8Array} data */
const toBase64 = (data) => btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));

/** @param {unknown} text @returns {Uint8Array<ArrayBuffer>} */
function fromBase64(text) {
  if (typeof text !== "string") throw new BackupFault("malformed");
  try {
    return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  } catch (fault) {
    throw new BackupFault("malformed");
  }
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
  const ivBytes = fromBase64(iv);
  if (ivBytes.length !== IV_BYTES) throw new BackupFault("malformed");
  const key = await backupKey(passphrase, fromBase64(salt), iterations);
  const opened = await decrypt(key, ivBytes, fromBase64(content));
  if (opened === null) throw new BackupFault("wrong_passphrase");
  return new TextDecoder().decode(opened);
}
