// Calls that come in: ringing until they are answered, declined or gone; and the events of all calls.

import { endAt, nameOf } from "./callends.js";
import { isAsking, prepare, release } from "./callmedia.js";
import {
  begin,
  currentCall,
  offerAgain,
  onAccepted,
  onCandidate,
  onEnded,
  onOfferInCall,
  sendAnswer,
  start,
} from "./calls.js";
import * as view from "./callview.js";
import { onPresence } from "./contacts.js";
import { OpenFault } from "./crypto.js";
import { contactOf, read } from "./keystore.js";
import { part } from "./session.js";
import { openBasicOffer, openSignal, sealsCalls } from "./signals.js";
import { say } from "./status.js";

// A little longer than the caller rings, so that it is the caller who gives up.
const RING_MS = 50_000;

/**
 * @typedef {{contactId: string, name: string, callId: string, sealed: boolean, sdp: string, timer: number,
 *   accepted: boolean, candidates: (RTCIceCandidateInit | null | undefined)[]}} Ringing
 */

/** @type {Ringing | null} */
let ringing = null;
let declinedId = "";

/** @param {{from: string, signal: unknown, callId?: string | null}} news */
async function onIncoming({ from, signal }) {
  const contact = contactOf(read(), from);
  if (!contact?.hasKeys) return;
  const sealed = sealsCalls(from);
  const offered = await openOffer(from, signal, sealed);
  if (!offered) return;
  const call = currentCall();
  if (call?.contactId === from) return onOfferInCall(call, offered);
  if (call || (ringing && ringing.contactId !== from)) return void (await endAt(from, "busy", offered.callId));
  if (sealed && offered.callId === declinedId) return void (await endAt(from, "declined", declinedId));
  if (sealed && offered.callId === ringing?.callId) {
    // The caller does not know whether this page still rings; the offer brings its candidates along.
    Object.assign(ringing, { sdp: offered.sdp, candidates: [] });
    return;
  }
  clearTimeout(ringing?.timer); // they called again: the newer offer counts
  ringing = {
    contactId: from,
    name: contact.username,
    ...offered,
    sealed,
    accepted: false,
    candidates: [],
    timer: setTimeout(() => missed(from), RING_MS),
  };
  view.showIncoming(contact.username, !sealed);
}

/** @param {string} from @param {unknown} signal @param {boolean} sealed @returns {Promise<{callId: string, sdp: string} | null>} */
async function openOffer(from, signal, sealed) {
  try {
    if (!sealed) return { callId: "", sdp: await openBasicOffer(from, signal) };
    const { kind, callId, sdp } = (await openSignal(from, signal)) ?? {};
    return kind === "offer" && callId && sdp ? { callId, sdp } : null;
  } catch (fault) {
    if (!(fault instanceof OpenFault)) throw fault;
    say(
      `A call from ${nameOf(from)} was refused: its set-up was altered on the way, or sealed with other keys.`,
      "bad",
    );
    return null;
  }
}

/** Answer the call that rings. */
async function answer() {
  const waiting = ringing;
  if (!waiting || waiting.accepted) return;
  // It stays until there is a microphone: its candidates are still to be kept, and it may end meanwhile.
  waiting.accepted = true;
  clearTimeout(waiting.timer);
  view.hideIncoming();
  if (!isAsking()) await proceed(await prepare(), "");
}

/**
 * The browser's question is answered: for the call that was accepted meanwhile, or the one that somebody wants to make.
 * @param {import("./callmedia.js").Means | null} means
 * @param {string} contactId whom to call; empty for nobody
 */
async function proceed(means, contactId) {
  const waiting = ringing?.accepted || ringing?.contactId === contactId ? ringing : null;
  if (waiting && means) {
    await take(waiting, means);
  } else if (waiting?.accepted) {
    stopRinging();
    await endAt(waiting.contactId, "unable", waiting.callId);
  } else if (means && (!contactId || ringing || currentCall())) {
    release(means.stream);
  } else if (means) {
    await start(contactId, means);
  }
}

/** @param {Ringing} waiting @param {import("./callmedia.js").Means} means */
async function take(waiting, means) {
  stopRinging();
  const current = begin(waiting.contactId, waiting.callId, false, waiting.sealed, means);
  await sendAnswer(current, waiting.sdp);
  for (const candidate of waiting.candidates) await current.peer.addCandidate(candidate);
}

/** A candidate may come before the call is answered. @param {Ringing} waiting @param {unknown} sealed */
async function keepCandidate(waiting, sealed) {
  if (!waiting.sealed) return;
  try {
    const opened = await openSignal(waiting.contactId, sealed);
    if (opened?.kind === "candidate" && opened.callId === waiting.callId) waiting.candidates.push(opened.candidate);
  } catch (fault) {
    if (!(fault instanceof OpenFault)) throw fault;
    stopRinging();
    await endAt(waiting.contactId, "untrusted", waiting.callId);
    say(`A call from ${waiting.name} was refused: its set-up was altered on the way.`, "bad");
  }
}

function stopRinging() {
  if (ringing) clearTimeout(ringing.timer);
  ringing = null;
  view.hideIncoming();
}

/** @param {string} from */
function missed(from) {
  stopRinging();
  say(`You missed a call from ${nameOf(from)}.`);
}

/** Call a contact, or answer when they are calling. @param {string} contactId */
export async function callOrAnswer(contactId) {
  if (ringing?.contactId === contactId) return answer();
  if (!currentCall() && !isAsking()) await proceed(await prepare(), contactId);
}

/** What the server may tell about calls, by event. @type {Record<string, (...news: any[]) => void | Promise<void>>} */
const HANDLERS = {
  incoming_call: onIncoming,
  call_accepted: onAccepted,
  receive_ice_candidate: async (candidate, about) => {
    if (ringing && about?.from === ringing.contactId) await keepCandidate(ringing, candidate);
    else await onCandidate(candidate, about);
  },
  call_ended: (news) => {
    if (ringing?.contactId === news.from) missed(news.from);
    onEnded(news);
  },
  call_handled: ({ userId }) => {
    if (ringing?.contactId === userId) stopRinging();
  },
};

/** Handle an event of the server; events are handed in one after the other. @param {string} event @param {unknown[]} news */
export async function handle(event, news) {
  await HANDLERS[event]?.(...news);
}

onPresence((id, isOnline) => isOnline && void offerAgain(id));
part("#answer-call").addEventListener("click", () => void answer());
part("#decline-call").addEventListener("click", () => {
  const declined = ringing;
  stopRinging();
  if (!declined) return;
  declinedId = declined.callId;
  void endAt(declined.contactId, "declined", declined.callId);
});
part("#incoming-call").addEventListener("cancel", (event) => event.preventDefault());
