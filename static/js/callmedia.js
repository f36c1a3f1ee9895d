// What a call needs before it begins: microphone or camera, and the servers that help two browsers find each other.

import { chose } from "./choices.js";
import { hasRelay, iceConfiguration } from "./peer.js";
import { say } from "./status.js";

/** @typedef {{stream: MediaStream, configuration: RTCConfiguration}} Means the microphone, and how to reach the other side */

const NO_RELAY =
  "“Hide my address” is on, and this server has no relay for calls. Switch it off in the settings to call without one.";

let isPreparing = false;

/** Whether the browser still asks for the microphone. */
export const isAsking = () => isPreparing;

/** @param {unknown} fault */
function explain(fault) {
  if (!(fault instanceof DOMException)) throw fault;
  const isForbidden = fault.name === "NotAllowedError";
  say(
    isForbidden
      ? "Permit the microphone for this site in the browser's address bar to call."
      : "No microphone was found for the call.",
    "bad",
  );
}

/** The microphone. @param {string} [deviceId] @returns {Promise<MediaStream | null>} null when there is none, and the banner says why */
export async function microphone(deviceId) {
  const audio = { echoCancellation: true, noiseSuppression: true, ...(deviceId ? { deviceId } : {}) };
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (fault) {
    explain(fault);
    return null;
  }
}

/** The camera. @param {string} [deviceId] @returns {Promise<MediaStreamTrack | null>} null when there is none, and the banner says so */
export async function camera(deviceId) {
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: deviceId ? { deviceId } : true });
    return stream.getVideoTracks()[0] ?? null;
  } catch (fault) {
    if (!(fault instanceof DOMException)) throw fault;
    say("The camera could not be opened.", "bad");
    return null;
  }
}

/** Close a microphone. @param {MediaStream} stream */
export function release(stream) {
  for (const track of stream.getTracks()) track.stop();
}

/** @returns {Promise<Means | null>} null when a call cannot begin, and the banner says why */
export async function prepare() {
  isPreparing = true;
  try {
    const configuration = await iceConfiguration(chose("relayOnly"));
    if (configuration.iceTransportPolicy === "relay" && !hasRelay(configuration)) {
      say(NO_RELAY, "bad");
      return null;
    }
    const stream = await microphone();
    return stream && { stream, configuration };
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault; // fetch: the server is not reached
    say("You are offline.", "bad");
    return null;
  } finally {
    isPreparing = false;
  }
}
