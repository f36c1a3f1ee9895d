// How a call looks: the dialog of one that comes in, the panel of one that runs.

import { bringBack, putAside } from "./aside.js";
import { clockText, pauseOthers } from "./player.js";
import { startRinging, stopRinging } from "./ringing.js";
import { part } from "./session.js";

const incoming = /** @type {HTMLDialogElement} */ (part("#incoming-call"));
const panel = part(".call-panel");
const mine = /** @type {HTMLVideoElement} */ (part(".my-video", panel));
const theirs = /** @type {HTMLVideoElement} */ (part(".their-video", panel));
const sound = /** @type {HTMLAudioElement} */ (part(".their-audio", panel));
const timer = part(".call-timer", panel);

let clock = 0;

/** Show that somebody calls. @param {string} name @param {boolean} basic */
export function showIncoming(name, basic) {
  part(".name", incoming).textContent = name;
  part(".basic", incoming).hidden = !basic;
  if (!incoming.open) incoming.showModal();
  startRinging();
}

/** The call that came in is answered, declined or gone. */
export function hideIncoming() {
  stopRinging();
  if (!incoming.open) return;
  incoming.close(); // which gives the focus back, if anything had it before
  const focused = document.activeElement;
  if (focused === document.body || incoming.contains(focused)) takeFocus();
}

/** Let the keyboard go on where a call could be made, or else where a conversation could be opened. */
function takeFocus() {
  part("#start-call").focus();
  if (document.activeElement?.id !== "start-call") part(".contact-list button").focus();
}

/** Show a call of mine that rings at the other end. @param {string} name @param {boolean} basic */
export function showCalling(name, basic) {
  showPanel("Calling", name, basic);
  startRinging();
}

/** @param {string} state @param {string} name @param {boolean} basic */
function showPanel(state, name, basic) {
  part(".call-state", panel).textContent = state;
  part(".name", panel).textContent = name;
  part(".basic", panel).hidden = !basic;
  part(".call-quality", panel).textContent = "";
  timer.textContent = "";
  panel.hidden = false;
  // A dialog would keep the panel out of reach, and a recording that plays would be heard in the call.
  putAside();
  pauseOthers(null);
}

/** It is answered, and the two browsers look for a way to each other. @param {string} name @param {boolean} basic */
export function showConnecting(name, basic) {
  stopRinging();
  if (!clock) showPanel("Connecting to", name, basic);
}

/** The call is there. @param {string} name @param {boolean} basic */
export function showConnected(name, basic) {
  stopRinging();
  if (clock) return;
  showPanel("On Call with", name, basic);
  const began = Date.now();
  timer.textContent = clockText(0);
  clock = setInterval(() => {
    timer.textContent = clockText((Date.now() - began) / 1000);
  }, 1000);
}

/** @param {import("./peer.js").Quality} quality */
export function showQuality({ level, lossPercent, roundTripMs }) {
  const line = part(".call-quality", panel);
  line.dataset.level = level;
  line.textContent = `Connection ${level}`;
  line.title = `${lossPercent.toFixed(1)} % lost, ${Math.round(roundTripMs)} ms round trip`;
}

/** @param {string} sentence */
export function showTrouble(sentence) {
  part(".call-quality", panel).textContent = sentence;
}

/** The call is over. */
export function hidePanel() {
  stopRinging();
  clearInterval(clock);
  clock = 0;
  const hadFocus = panel.contains(document.activeElement);
  panel.hidden = true;
  if (hadFocus) takeFocus();
  showMuted(false);
  showMine(null);
  showTheirs(false);
  sound.srcObject = theirs.srcObject = null;
  bringBack();
}

/** @param {boolean} muted */
export function showMuted(muted) {
  const button = part("#mute");
  button.dataset.muted = String(muted);
  part(".label", button).textContent = muted ? "Unmute" : "Mute";
}

/** My own picture; null when the camera is off. @param {MediaStream | null} stream */
export function showMine(stream) {
  mine.srcObject = stream;
  mine.hidden = stream === null;
  part("#camera").setAttribute("aria-pressed", String(stream !== null));
  const choice = part("#camera-choice").closest("label");
  if (choice) choice.hidden = stream === null;
}

/** What comes from the other end. @param {MediaStreamTrack} track */
export function attachTrack(track) {
  const stream = new MediaStream([track]);
  if (track.kind === "audio") sound.srcObject = stream;
  else theirs.srcObject = stream;
}

/** Whether their camera is on. @param {boolean} on */
export function showTheirs(on) {
  theirs.hidden = !on;
}

/**
 * Fill the choices of devices.
 * @param {MediaDeviceInfo[]} devices
 */
export function showDevices(devices) {
  for (const [selector, kind] of [
    ["#microphone-choice", "audioinput"],
    ["#camera-choice", "videoinput"],
  ]) {
    const choice = /** @type {HTMLSelectElement} */ (part(/** @type {string} */ (selector)));
    const options = devices.filter((device) => device.kind === kind);
    choice.replaceChildren(
      ...options.map(({ label, deviceId }, index) => new Option(label || `Device ${index + 1}`, deviceId)),
    );
  }
}
