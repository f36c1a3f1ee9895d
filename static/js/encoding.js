// Bytes as text and back: hex and base64 (RFC 4648).

/** @param {ArrayBuffer} data @returns {string} lower-case hex */
export const toHex = (data) => Array.from(new Uint8Array(data), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @param {Uint8Array} data @returns {string} base64 */
export const toBase64 = (data) => btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));

/** @param {unknown} text @returns {Uint8Array<ArrayBuffer> | null} null when it is not base64 */
export function fromBase64(text) {
  if (typeof text !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
