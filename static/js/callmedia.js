// Microphone and camera of a call.

import { say } from "./status.js";

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

/** The microphone. @returns {Promise<MediaStream | null>} null when there is none, and the banner says why */
export async function microphone() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true, noiseSuppression: true } });
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
