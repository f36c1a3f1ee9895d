// The socket: requests that are answered or fail with a code, and what the server tells by itself.

import { io } from "socket.io-client";

const ANSWER_MS = 15_000;
// A server whose database hangs takes the line and says nothing; it is called again.
const ADMISSION_MS = 20_000;
const PAUSE_MS = 2000;

/** A request that failed: `code` as the server names it, or "offline" / "timeout" when nobody knows how it went. */
export class WireFault extends Error {
  /** @param {string} code @param {string} message @param {number} [retryAfter] seconds */
  constructor(code, message, retryAfter) {
    super(message);
    this.name = "WireFault";
    this.code = code;
    this.retryAfter = retryAfter;
  }

  /** Whether the server may have acted although no answer came. */
  get unknown() {
    return this.code === "offline" || this.code === "timeout";
  }
}

// The cookie of this page is the token; WebSocket first, as nothing then depends on sticky routing.
const socket = io({ transports: ["websocket", "polling"], tryAllTransports: true, autoConnect: false });

/** Whether the line is up. */
export const isConnected = () => socket.connected;

/** Open the line; it opens itself again, with growing and jittered pauses, whenever it is lost. */
export function connect() {
  socket.connect();
}

/**
 * Listen to an event.
 * @template {unknown[]} A
 * @param {string} event
 * @param {(...args: A) => void} listener
 */
export function on(event, listener) {
  socket.on(event, /** @type {(...args: unknown[]) => void} */ (/** @type {unknown} */ (listener)));
}

/**
 * Send an event and wait for its acknowledgement.
 * @param {string} event
 * @param {unknown} payload
 * @returns {Promise<Record<string, any>>} the answer's members; rejects with WireFault
 */
export async function request(event, payload) {
  if (!socket.connected) throw new WireFault("offline", "You are offline.");
  let answer;
  try {
    answer = await socket.timeout(ANSWER_MS).emitWithAck(event, payload);
  } catch {
    throw new WireFault(socket.connected ? "timeout" : "offline", "The server did not answer.", undefined);
  }
  if (answer?.ok) return answer;
  const { code, message, retryAfter } = answer?.error ?? {};
  throw new WireFault(code ?? "internal", message ?? "Something went wrong.", retryAfter);
}

/**
 * Send an event that nobody waits for (typing, receipts); while offline it is dropped.
 * @param {string} event
 * @param {unknown} payload
 */
export function tell(event, payload) {
  // An acknowledgement is asked for so that a refusal comes to it and not to the page.
  if (socket.connected) socket.emit(event, payload, () => {});
}

let admission = 0;
socket.io.on("open", () => {
  admission = setTimeout(() => socket.io.engine.close(), ADMISSION_MS);
});
socket.io.on("close", () => clearTimeout(admission));
socket.on("connect", () => clearTimeout(admission));
socket.on("connect_error", (fault) => {
  clearTimeout(admission);
  if (fault.message.startsWith("Authentication error")) location.assign("/");
  // Refused for another reason, Socket.IO does not come back by itself.
  else if (!socket.active) setTimeout(connect, PAUSE_MS * (1 + Math.random()));
});
socket.on("logged_out", () => location.assign("/"));
socket.on("disconnect", (reason) => {
  // After an end by the server Socket.IO does not come back by itself; if the token is what ended, the next
  // attempt says so and leads to the login page.
  if (reason === "io server disconnect") socket.connect();
});
