// The buttons of a call that runs: mute, camera, devices.

import { camera, microphone, release } from "./callmedia.js";
import { currentCall } from "./calls.js";
import * as view from "./callview.js";
import { part } from "./session.js";
import { seal } from "./signals.js";
import { tell } from "./wire.js";

function toggleMute() {
  const [track] = currentCall()?.stream.getAudioTracks() ?? [];
  if (!track) return;
  track.enabled = !track.enabled;
  view.showMuted(!track.enabled);
}

/** @param {string} [deviceId] */
async function toggleCamera(deviceId) {
  const current = currentCall();
  if (!current) return;
  const turnsOn = current.camera === null || deviceId !== undefined;
  current.camera?.stop();
  current.camera = null;
  const track = turnsOn ? await camera(deviceId) : null;
  if (currentCall() !== current || current.camera) return track?.stop(); // it ended, or there was a second press
  current.camera = track;
  await current.peer.sendVideo(track);
  view.showMine(track && new MediaStream([track]));
  if (!current.sealed) return;
  const signal = await seal(current, "camera", { on: track !== null });
  tell("ice_candidate", { target: current.contactId, candidate: signal, callId: current.callId });
}

/** @param {string} deviceId */
async function chooseMicrophone(deviceId) {
  const current = currentCall();
  if (!current) return;
  const stream = await microphone(deviceId);
  if (!stream) return;
  const [track] = stream.getAudioTracks();
  const [old] = current.stream.getAudioTracks();
  if (!track || !old || currentCall() !== current) return release(stream);
  track.enabled = old.enabled;
  await current.peer.sendAudio(track);
  old.stop();
  current.stream.removeTrack(old);
  current.stream.addTrack(track);
}

const chosen = (/** @type {Event} */ event) => /** @type {HTMLSelectElement} */ (event.target).value;

part("#mute").addEventListener("click", toggleMute);
part("#camera").addEventListener("click", () => void toggleCamera());
part("#microphone-choice").addEventListener("change", (event) => void chooseMicrophone(chosen(event)));
part("#camera-choice").addEventListener("change", (event) => void toggleCamera(chosen(event)));
