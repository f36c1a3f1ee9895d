// Calls: ringing, answering, ending, from either side and in the right one of several tabs.

import { endAt, endOf, leaveMissed, nameOf } from "./callends.js";
import { release } from "./callmedia.js";
import * as view from "./callview.js";
import { newId, OpenFault } from "./crypto.js";
import { Peer } from "./peer.js";
import { me, part } from "./session.js";
import { openSignal, seal, sealSignal, sealsCalls } from "./signals.js";
import { say } from "./status.js";
import { request, tell, WireFault } from "./wire.js";

const RING_MS = 45_000;
// From the answer on; two browsers that find a way take a few seconds.
const CONNECT_MS = 30_000;
const RESTART_AFTER_MS = 4000;
const RESTARTS = 3;

/**
 * @typedef {import("./callmedia.js").Means} Means
 * @typedef {Means & {contactId: string, name: string, callId: string, mine: boolean, sealed: boolean, peer: Peer,
 *   rings: boolean, answered: boolean, connected: boolean, signalled: Promise<void>, ringTimer: number, restartTimer: number,
 *   restarts: number, camera: MediaStreamTrack | null}} Call
 */

/** @type {Call | null} */
let call = null;
/** The call before it, which the other side may still be ending. */
let lastCallId = "";

/** Call a contact. @param {string} contactId @param {Means} means */
export async function start(contactId, means) {
  const current = begin(contactId, newId(), true, sealsCalls(contactId), means);
  view.showCalling(current.name, !current.sealed);
  current.ringTimer = setTimeout(() => void finish("timeout"), RING_MS);
  await offer(current, "first");
}

/** Whoever comes online while I call them may have a page that was loaded anew and does not ring. @param {string} contactId */
export async function offerAgain(contactId) {
  if (call?.contactId === contactId && call.rings && !call.answered) await offer(call, "again");
}

/**
 * @param {string} contactId
 * @param {string} callId
 * @param {boolean} mine
 * @param {boolean} sealed
 * @param {Means} means
 * @returns {Call}
 */
export function begin(contactId, callId, mine, sealed, { stream, configuration }) {
  const peer = new Peer(configuration, stream, {
    onCandidate: (candidate) => void sendCandidate(current, candidate),
    onTrack: ({ track }) => view.attachTrack(track),
    onState: (state) => onState(current, state),
    onQuality: view.showQuality,
  });
  /** @type {Call} */
  const current = {
    contactId,
    name: nameOf(contactId),
    callId,
    mine,
    sealed,
    stream,
    configuration,
    peer,
    rings: false,
    answered: !mine,
    connected: false,
    signalled: Promise.resolve(),
    camera: null,
    ringTimer: 0,
    restartTimer: 0,
    restarts: 0,
  };
  call = current;
  void navigator.mediaDevices.enumerateDevices().then(view.showDevices);
  return current;
}

/** @param {Call} current @param {"first" | "again" | "restart"} turn */
async function offer(current, turn) {
  const { contactId, callId, peer, sealed } = current;
  let done = () => {};
  current.signalled = new Promise((resolve) => {
    done = () => resolve(undefined);
  });
  try {
    const sdp = turn === "again" ? peer.description : await peer.offer(turn === "restart");
    const signalData = sealed
      ? await seal(current, "offer", { sdp })
      : await sealSignal(contactId, { type: "offer", sdp: await peer.gathered() });
    const { delivered } = await request("call_user", { userToCall: contactId, signalData, callId });
    done();
    current.rings ||= delivered;
    if (delivered || turn !== "first") return;
    say(`${current.name} is offline. They will see that you called.`);
    await leaveMissed(contactId);
    close();
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    if (turn !== "first") return;
    say(fault.message, "bad");
    close();
  }
}

/** @param {Call} current @param {RTCIceCandidateInit | null} candidate */
async function sendCandidate(current, candidate) {
  if (!current.sealed || !candidate) return;
  await current.signalled; // a candidate that overtakes its offer would be refused
  if (call !== current) return;
  const { contactId: target, callId } = current;
  tell("ice_candidate", { target, candidate: await seal(current, "candidate", { candidate }), callId });
}

/**
 * An offer of somebody I am in a call with: a new way through the network, a page that came back and calls again, or we
 * called each other at once.
 * @param {Call} current
 * @param {{callId: string, sdp: string}} offered
 */
export async function onOfferInCall(current, { callId, sdp }) {
  if (current.sealed && callId === current.callId) {
    await sendAnswer(current, sdp);
  } else if (current.answered || me.customId > current.contactId) {
    // Both asked, so both consent; the offer of the lower id stands, on both sides.
    leave(current);
    const answering = begin(current.contactId, callId, false, current.sealed, current);
    await sendAnswer(answering, sdp);
  }
}

/** Answer an offer; one that cannot be read ends the call. @param {Call} current @param {string} offered SDP */
export async function sendAnswer(current, offered) {
  const { contactId: to, callId, sealed, peer } = current;
  const sdp = await readable(current, peer.answer(offered));
  if (sdp === null) return;
  awaitConnection(current);
  const signal = sealed ? await seal(current, "answer", { sdp }) : { type: "answer", sdp: await peer.gathered() };
  try {
    await request("answer_call", { to, signal, callId });
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    say(fault.message, "bad");
    if (call === current) close();
  }
}

/**
 * @template T
 * @param {Call} current
 * @param {Promise<T>} reading of a description that the other side made
 * @returns {Promise<T | null>} null when it cannot be read, and the call is over
 */
async function readable(current, reading) {
  try {
    return await reading;
  } catch (fault) {
    if (!(fault instanceof DOMException)) throw fault;
    if (call === current) await giveUp();
    return null;
  }
}

/** An answered call that finds no way does not stay for ever. @param {Call} current */
function awaitConnection(current) {
  current.answered = true;
  clearTimeout(current.ringTimer);
  if (current.connected) return;
  view.showConnecting(current.name, !current.sealed);
  current.ringTimer = setTimeout(() => void giveUp(), CONNECT_MS);
}

async function giveUp() {
  await finish("failed");
  say("The call could not be connected.", "bad");
}

/** @param {any} signal @param {{from?: string} | undefined} about */
export async function onAccepted(signal, about) {
  const current = call;
  if (!current || about?.from !== current.contactId) return;
  if (!current.sealed) {
    if (signal?.candidate) return current.peer.addCandidate(signal.candidate);
    if (signal?.type === "answer") await accept(current, signal.sdp);
  } else {
    const opened = await openInCall(current, signal);
    if (opened?.kind === "answer" && opened.sdp) await accept(current, opened.sdp);
  }
}

/** @param {Call} current @param {string} sdp the answer */
async function accept(current, sdp) {
  if (!current.peer.awaitsAnswer) return; // one that is played back
  if (
    (await readable(
      current,
      current.peer.accept(sdp).then(() => true),
    )) &&
    call === current
  )
    awaitConnection(current);
}

/** Open what belongs to a call; what does not open ends it with a warning. @param {Call} current @param {unknown} signal */
async function openInCall(current, signal) {
  try {
    const opened = await openSignal(current.contactId, signal);
    return opened?.callId === current.callId ? opened : null;
  } catch (fault) {
    if (!(fault instanceof OpenFault)) throw fault;
    await finish("untrusted");
    say(`The call with ${current.name} was ended: its set-up was altered on the way.`, "bad");
    return null;
  }
}

/** @param {unknown} candidate @param {{from?: string} | undefined} about */
export async function onCandidate(candidate, about) {
  if (!call?.sealed || about?.from !== call.contactId) return;
  const opened = await openInCall(call, candidate);
  if (opened?.kind === "camera") view.showTheirs(opened.on === true);
  if (opened?.kind === "candidate") await call?.peer.addCandidate(opened.candidate);
}

/** @param {Call} current @param {RTCPeerConnectionState} state */
function onState(current, state) {
  if (call !== current) return;
  if (state === "connected") {
    clearTimeout(current.restartTimer);
    clearTimeout(current.ringTimer);
    Object.assign(current, { connected: true, restarts: 0, restartTimer: 0 });
    view.showConnected(current.name, !current.sealed);
  } else if (state === "failed" || state === "disconnected") {
    view.showTrouble("Connection lost, looking for another way…");
    current.restartTimer ||= setTimeout(() => void restart(current), state === "failed" ? 0 : RESTART_AFTER_MS);
  }
}

/** Whoever began the call looks for a new way; both doing so would collide. @param {Call} current */
async function restart(current) {
  current.restartTimer = 0;
  if (call !== current || current.peer.connection.connectionState === "connected") return;
  if (current.restarts++ >= RESTARTS || !current.sealed) return giveUp();
  if (current.mine) await offer(current, "restart");
  current.restartTimer = setTimeout(() => void restart(current), 2 * RESTART_AFTER_MS);
}

/** End the call that runs. @param {string} reason */
export async function finish(reason) {
  const current = call;
  if (!current) return;
  close();
  if (reason === "timeout") say(`${current.name} did not answer.`);
  if (!current.answered) await leaveMissed(current.contactId);
  await endAt(current.contactId, reason, current.callId);
}

/** Give everything back; the page stays as it is. */
function close() {
  const current = call;
  call = null;
  if (!current) return;
  lastCallId = current.callId;
  leave(current);
  release(current.stream);
  view.hidePanel();
}

/** End one connection of a call; its microphone may go on in another. @param {Call} current */
function leave(current) {
  clearTimeout(current.ringTimer);
  clearTimeout(current.restartTimer);
  current.peer.close();
  current.camera?.stop();
  view.showMine(null);
  view.showTheirs(false);
}

/** @param {{from: string, reason?: string | null, callId?: string | null}} news */
export function onEnded({ from, reason, callId }) {
  if (call?.contactId !== from || (callId && callId === lastCallId)) return;
  const { name } = call;
  close();
  say(endOf(name, reason));
}

/** The call that runs, if any. */
export const currentCall = () => call;

part("#end-call").addEventListener("click", () => void finish("ended"));
