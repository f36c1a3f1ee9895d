// Files on their way: sealed chunk by chunk and uploaded, fetched and opened, never whole in memory.

import { fileCipher, newFileKey, OpenFault, openBytes, sealBytes, sha256 } from "./crypto.js";
import { TAG_BYTES } from "./envelope.js";

/**
 * What is sealed in a message that brings a file. `digest`: SHA-256 (hex) of the SHA-256 of each chunk of plaintext, in
 * order, which can be made without holding the file. `thumbnail`: WebP as base64. `duration` in seconds, `waveform` 0–100.
 * @typedef {{key: string, iv: string, name: string, type: string, size: number, chunk: number, digest: string,
 *   thumbnail?: string, width?: number, height?: number, duration?: number, waveform?: number[]}} FileInfo
 * @typedef {(stage: "encrypting" | "uploading" | "downloading", done: number, total: number) => void} Progress
 * @typedef {Omit<FileInfo, "key" | "iv" | "chunk" | "digest" | "size">} Description
 */

export const CHUNK_BYTES = 1 << 20;
const HASH_HEX = 64;
/** v1's form is 3.6 times as long and whole in memory; the server takes 50 MB of it. */
export const V1_MAX_BYTES = 14_000_000;

/** The transfer failed; `code` as the server names it, "offline" or "cancelled". */
export class TransferFault extends Error {
  /** @param {string} code @param {string} message */
  constructor(code, message) {
    super(message);
    this.name = "TransferFault";
    this.code = code;
  }
}

/** @param {AbortSignal} signal */
function checkCancelled(signal) {
  if (signal.aborted) throw new TransferFault("cancelled", "Cancelled.");
}

/** By how much ciphertext is longer than a file of this size, in bytes. @param {number} size */
export const sealOverhead = (size) => TAG_BYTES * Math.max(1, Math.ceil(size / CHUNK_BYTES));

const sink = new MessageChannel();
sink.port2.close();

/**
 * Give memory back now, and not when the browser next looks for garbage: chunks come faster than that. What is handed
 * over to a port whose other end is closed is nobody's any more (HTML, 9.4.4).
 * @param {ArrayBuffer[]} buffers
 */
function free(...buffers) {
  sink.port1.postMessage(null, buffers);
}

/**
 * Seal a file under a fresh key; the browser keeps the sealed parts outside the page's memory.
 * @param {Blob} file
 * @param {Description} description
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<{sealed: Blob, info: FileInfo}>}
 */
export async function sealFile(file, description, progress, signal) {
  const fileKey = newFileKey();
  const cipher = await fileCipher(fileKey);
  const count = Math.max(1, Math.ceil(file.size / CHUNK_BYTES));
  const parts = [];
  let hashes = "";
  for (let index = 0; index < count; index++) {
    checkCancelled(signal);
    const chunk = await file.slice(index * CHUNK_BYTES, (index + 1) * CHUNK_BYTES).arrayBuffer();
    hashes += await sha256(chunk);
    const secret = await cipher.seal(chunk, index, index === count - 1);
    parts.push(new Blob([secret]));
    free(chunk, secret);
    progress("encrypting", Math.min((index + 1) * CHUNK_BYTES, file.size), file.size);
  }
  const info = { ...fileKey, ...description, size: file.size, chunk: CHUNK_BYTES, digest: await digestOf(hashes) };
  return { sealed: new Blob(parts), info };
}

/** @param {string} hashes the hex of each chunk's SHA-256, one behind the other */
function digestOf(hashes) {
  const pairs = hashes.match(/../g) ?? [];
  return sha256(Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)));
}

/**
 * Seal a whole file in v1's form, for a Press Freely contact.
 * @param {Blob} file
 * @param {import("./crypto.js").OpeningPair} pair
 * @returns {Promise<Blob>} the JSON envelope; rejects with TransferFault too_large
 */
export async function sealFileV1(file, pair) {
  if (file.size > V1_MAX_BYTES) {
    throw new TransferFault("too_large", "This contact's app takes files of 14 MB at most.");
  }
  return new Blob([await sealBytes(pair, await file.arrayBuffer())], { type: "application/json" });
}

/**
 * Upload ciphertext.
 * @param {Blob} sealed
 * @param {string} name what the server may know as its name
 * @param {string} csrf the token that goes with the cookie
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<string>} its fileUrl; rejects with TransferFault
 */
export async function upload(sealed, name, csrf, progress, signal) {
  checkCancelled(signal);
  const { promise, resolve, reject } = deferred();
  // XMLHttpRequest, because fetch does not tell how far an upload has come.
  const transfer = new XMLHttpRequest();
  const abort = () => transfer.abort();
  transfer.upload.addEventListener("progress", ({ loaded, total }) => progress("uploading", loaded, total));
  transfer.addEventListener("load", () => {
    const { status, response } = transfer;
    if (status === 200) resolve(response.fileUrl);
    else reject(new TransferFault(response?.code ?? "internal", response?.message ?? "The upload was refused."));
  });
  transfer.addEventListener("error", () => reject(new TransferFault("offline", "The connection was lost.")));
  transfer.addEventListener("abort", () => reject(new TransferFault("cancelled", "Cancelled.")));
  transfer.addEventListener("loadend", () => signal.removeEventListener("abort", abort));
  signal.addEventListener("abort", abort);
  const form = new FormData();
  form.append("file", sealed, name);
  transfer.open("POST", "/api/upload");
  transfer.responseType = "json";
  transfer.setRequestHeader("X-CSRF-TOKEN", csrf);
  transfer.send(form);
  return promise;
}

/** @returns {{promise: Promise<string>, resolve: (url: string) => void, reject: (fault: Error) => void}} */
function deferred() {
  /** @type {any} */
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
}

/**
 * @param {string} fileUrl
 * @param {AbortSignal} signal
 */
async function fetchFile(fileUrl, signal) {
  try {
    // The path alone: whatever name the sender's server has, the file lies on ours.
    const answer = await fetch(new URL(fileUrl, location.origin).pathname, { signal, credentials: "omit" });
    if (answer.status === 404) throw new TransferFault("not_found", "This file is no longer on the server.");
    if (!answer.ok || !answer.body) throw new TransferFault("offline", "The file could not be fetched.");
    return { body: answer.body, length: Number(answer.headers.get("Content-Length") ?? 0) };
  } catch (fault) {
    throw transferFault(fault);
  }
}

/** @param {unknown} fault */
function transferFault(fault) {
  if (fault instanceof DOMException && fault.name === "AbortError") return new TransferFault("cancelled", "Cancelled.");
  return fault instanceof TypeError ? new TransferFault("offline", "The connection was lost.") : fault;
}

/**
 * Fetch and open a file in chunks.
 * @param {string} fileUrl
 * @param {FileInfo} info
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>} rejects with OpenFault damaged, TransferFault
 */
export async function openFile(fileUrl, info, progress, signal) {
  if (info.chunk !== CHUNK_BYTES) throw new OpenFault("damaged");
  const cipher = await fileCipher(info);
  const { body } = await fetchFile(fileUrl, signal);
  const count = Math.max(1, Math.ceil(info.size / CHUNK_BYTES));
  const parts = [];
  let hashes = "";
  let size = 0;
  let index = 0;
  for await (const sealed of chunksOf(body.getReader(), CHUNK_BYTES + TAG_BYTES)) {
    if (index >= count) throw new OpenFault("damaged");
    const chunk = await cipher.open(sealed, index, index === count - 1);
    hashes += await sha256(chunk);
    parts.push(new Blob([chunk]));
    size += chunk.byteLength;
    free(chunk);
    index += 1;
    progress("downloading", size, info.size);
  }
  if (size !== info.size || index !== count || hashes.length !== count * HASH_HEX) throw new OpenFault("damaged");
  if ((await digestOf(hashes)) !== info.digest) throw new OpenFault("damaged");
  return new Blob(parts, { type: info.type });
}

/**
 * Cut a stream into pieces of `size` bytes; the last may be shorter. Each is written over by the next.
 * @param {ReadableStreamDefaultReader<Uint8Array<ArrayBuffer>>} reader
 * @param {number} size
 * @returns {AsyncGenerator<Uint8Array<ArrayBuffer>>} throws TransferFault
 */
async function* chunksOf(reader, size) {
  const piece = new Uint8Array(size);
  let filled = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      for (let from = 0; from < value.length; ) {
        const taken = value.subarray(from, from + size - filled);
        piece.set(taken, filled);
        filled += taken.length;
        from += taken.length;
        if (filled === size) {
          yield piece;
          filled = 0;
        }
      }
      free(value.buffer);
    }
  } catch (fault) {
    throw transferFault(fault);
  } finally {
    await reader.cancel().catch(() => undefined); // a stream that failed cannot be cancelled, and need not be
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/**
 * Fetch and open a file in v1's form.
 * @param {string} fileUrl
 * @param {import("./crypto.js").OpeningPair[]} pairs
 * @param {string} type MIME type to give it
 * @param {Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<Blob>} rejects with OpenFault, TransferFault
 */
export async function openFileV1(fileUrl, pairs, type, progress, signal) {
  const { body, length } = await fetchFile(fileUrl, signal);
  const parts = [];
  let size = 0;
  for await (const part of chunksOf(body.getReader(), CHUNK_BYTES)) {
    parts.push(new Blob([part]));
    size += part.length;
    progress("downloading", size, length);
  }
  return new Blob([await openBytes(pairs, await new Blob(parts).text())], { type });
}
