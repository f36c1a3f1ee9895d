// What two browsers tell each other to set up a call: sealed under the contact's key, fresh, and of this call alone.

import { OpenFault, openText, sealText } from "./crypto.js";
import { pairsOf, read } from "./keystore.js";
import { me } from "./session.js";

// v1 has no binding, so an offer tells its time: one that was kept back and played again later is ignored.
const OFFER_MAX_AGE_MS = 60_000;

/**
 * @typedef {{kind: "offer" | "answer" | "candidate" | "camera", callId: string, at: number, from: string,
 *   sdp?: string, candidate?: RTCIceCandidateInit | null, on?: boolean}} Signal `at` in ms since the epoch
 */

/** Whether a contact's client seals answers and candidates, too. @param {string} contactId */
export function sealsCalls(contactId) {
  const key = read().keys[contactId]?.theirPublicKey;
  return key !== undefined && JSON.parse(key).sotto !== undefined;
}

/**
 * @param {string} contactId
 * @param {object} signal
 * @returns {Promise<string>} envelope
 */
export async function sealSignal(contactId, signal) {
  const [pair] = pairsOf(read(), contactId);
  if (!pair) throw new OpenFault("no_keys");
  return sealText(pair, JSON.stringify(signal));
}

/**
 * A sealed signal of a call.
 * @param {{contactId: string, callId: string}} call
 * @param {Signal["kind"]} kind
 * @param {object} content
 */
export const seal = ({ contactId, callId }, kind, content) =>
  sealSignal(contactId, { kind, callId, at: Date.now(), from: me.customId, ...content });

/**
 * Open a signal of a Sotto contact.
 * @param {string} contactId
 * @param {unknown} sealed
 * @returns {Promise<Signal | null>} null when it is an offer that is too old; rejects with OpenFault when it is not theirs
 */
export async function openSignal(contactId, sealed) {
  const signal = await openJson(contactId, sealed);
  // A signal of mine that comes back opens, too: it names who made it.
  if (signal?.from !== contactId || typeof signal.callId !== "string") throw new OpenFault("damaged");
  const age = Math.abs(Date.now() - signal.at);
  return signal.kind === "offer" && !(age <= OFFER_MAX_AGE_MS) ? null : signal;
}

/**
 * Open the offer of a Press Freely contact: one complete description.
 * @param {string} contactId
 * @param {unknown} sealed
 * @returns {Promise<string>} its SDP; rejects with OpenFault
 */
export async function openBasicOffer(contactId, sealed) {
  const offer = await openJson(contactId, sealed);
  if (offer?.type !== "offer" || typeof offer.sdp !== "string") throw new OpenFault("damaged");
  return offer.sdp;
}

/** @param {string} contactId @param {unknown} sealed @returns {Promise<any>} */
async function openJson(contactId, sealed) {
  if (typeof sealed !== "string") throw new OpenFault("damaged");
  const [current] = pairsOf(read(), contactId);
  const text = await openText(current ? [current] : [], sealed);
  try {
    return JSON.parse(text);
  } catch {
    throw new OpenFault("damaged");
  }
}
