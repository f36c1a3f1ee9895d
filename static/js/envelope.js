// The shapes of v1: keys as JWK strings (RFC 7518, 6.2), messages as JSON envelopes. No cipher here.

export const IV_BYTES = 12;
export const TAG_BYTES = 16;
const MAX_JWK_CHARS = 8192;

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

/**
 * The members of a P-256 JWK; throws KeyFault.
 * @param {string} jwk
 * @returns {JsonWebKey} the parsed P-256 key, its members not yet proven to be a point
 */
export function parseKey(jwk) {
  if (typeof jwk !== "string" || jwk.length > MAX_JWK_CHARS) throw new KeyFault("malformed");
  let key;
  try {
    key = JSON.parse(jwk);
  } catch {
    throw new KeyFault("malformed");
  }
  if (key?.kty !== "EC" || key.crv !== "P-256") throw new KeyFault("malformed");
  return key;
}

/** @param {unknown} value @param {number} least @returns {Uint8Array<ArrayBuffer>} */
function bytes(value, least) {
  const isByte = (/** @type {unknown} */ item) => Number.isInteger(item) && Number(item) >= 0 && Number(item) <= 255;
  if (!Array.isArray(value) || value.length < least || !value.every(isByte)) throw new OpenFault("damaged");
  return Uint8Array.from(value);
}

/** The parts of an envelope; throws OpenFault damaged. @param {string} envelope */
export function parseEnvelope(envelope) {
  let parsed;
  try {
    parsed = JSON.parse(envelope);
  } catch {
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
 * An envelope: `{iv: [12 integers], content: [integers]}`, the tag at the end of content.
 * @param {Uint8Array} iv
 * @param {ArrayBuffer} content
 * @returns {string} JSON
 */
export const makeEnvelope = (iv, content) => JSON.stringify({ iv: [...iv], content: [...new Uint8Array(content)] });
