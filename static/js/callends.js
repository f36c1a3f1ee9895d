// How a call is over: told to the other side, and left as a line in the history.

import { contactOf, read } from "./keystore.js";
import { MISSED_CALL } from "./messages.js";
import { send } from "./outbox.js";
import { request, WireFault } from "./wire.js";

/** @param {string} id */
export const nameOf = (id) => contactOf(read(), id)?.username ?? id;

/** How the other side's end of a call reads. @param {string} name @param {string | null} [reason] */
export function endOf(name, reason) {
  const sentences = new Map([
    ["declined", `${name} declined the call.`],
    ["busy", `${name} is in another call.`],
    ["unable", `${name} could not answer the call.`],
    ["gone", `${name} lost the connection.`],
    ["untrusted", `${name}'s browser ended the call: its set-up was altered on the way.`],
  ]);
  return sentences.get(reason ?? "") ?? `The call with ${name} has ended.`;
}

/** A missed call is a message like any other: sealed, kept, and read by every client. @param {string} contactId */
export async function leaveMissed(contactId) {
  await send(contactId, MISSED_CALL);
}

/** @param {string} to @param {string} reason @param {string} callId empty when it has none */
export async function endAt(to, reason, callId) {
  try {
    await request("end_call", { to, reason, callId });
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault; // it is over on this side, whatever the server knows
  }
}
