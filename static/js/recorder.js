// Voice messages: recorded in Opus, mono, about 32 kbit/s, with a timer and a live level; heard before they are sent.

import { onOpened, openContact } from "./conversation.js";
import { clockText, drawWaveform, listenTo } from "./player.js";
import { part } from "./session.js";
import { say } from "./status.js";

const BITS_PER_SECOND = 32_000;
const MAX_SECONDS = 15 * 60;
// Shorter is a slip of the finger.
const MIN_SECONDS = 0.5;
const LEVEL_MS = 50;
const WAVEFORM_BARS = 64;
const SILENCE = new Array(WAVEFORM_BARS).fill(0);
const TYPES = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];

/** @typedef {{file: Blob, name: string, duration: number, waveform: number[]}} Recording */

const panel = part(".recording");
const button = part("#record");
const input = part("#message-input");
const canvas = /** @type {HTMLCanvasElement} */ (part(".recording-level", panel));
const time = part(".recording-time", panel);
const listen = part(".listen", panel);

/** @type {{recorder: MediaRecorder, stream: MediaStream, context: AudioContext, parts: Blob[], levels: number[], began: number, timer: number} | null} */
let running = null;
/** @type {Promise<Recording> | null} */
let finished = null;
/** Whose conversation the recording is for. */
let contactId = "";
let isAsking = false;
/** @type {HTMLAudioElement | null} */
let heard = null;

/** Why there is no microphone, to a person. @param {unknown} fault */
function explain(fault) {
  if (!(fault instanceof DOMException)) throw fault;
  /** @type {Record<string, string>} */
  const sentences = {
    NotAllowedError:
      "The microphone is not allowed: permit it for this site in the browser's address bar, and try again.",
    NotFoundError: "There is no microphone on this device.",
    NotReadableError: "The microphone is in use by another program.",
  };
  say(sentences[fault.name] ?? "The microphone could not be opened.", "bad");
}

/** Start a recording, or stop the one that runs. */
export async function toggle() {
  if (running) return stop();
  if (isAsking) return; // the browser's question is still open: a second answer would be a second microphone
  discard();
  contactId = openContact();
  isAsking = true;
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, noiseSuppression: true } });
  } catch (fault) {
    return explain(fault);
  } finally {
    isAsking = false;
  }
  start(stream);
}

/** @param {MediaStream} stream */
function start(stream) {
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type)) ?? "";
  const recorder = new MediaRecorder(stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const recording = {
    recorder,
    stream,
    context,
    parts: /** @type {Blob[]} */ ([]),
    levels: /** @type {number[]} */ ([]),
    began: Date.now(),
    timer: 0,
  };
  recorder.addEventListener("dataavailable", ({ data }) => recording.parts.push(data));
  recording.timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    recording.levels.push(levelOf(samples));
    const seconds = (Date.now() - recording.began) / 1000;
    time.textContent = clockText(seconds);
    drawWaveform(canvas, [...SILENCE, ...recording.levels].slice(-WAVEFORM_BARS), 1);
    if (seconds > MAX_SECONDS) void stop();
  }, LEVEL_MS);
  recorder.start(1000);
  running = recording;
  leave(); // the conversation may have changed while the browser asked
}

/** Loudness 0–100: −60 dB and below is silence. @param {Float32Array} samples */
function levelOf(samples) {
  const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
  const decibels = 10 * Math.log10(power + 1e-12);
  return Math.round(Math.min(100, Math.max(0, ((decibels + 60) / 60) * 100)));
}

/** Close the microphone; what was recorded waits. */
export function stop() {
  if (!running) return;
  finished = end(running);
  running = null;
  show();
}

/** @param {NonNullable<typeof running>} recording @returns {Promise<Recording>} */
async function end(recording) {
  clearInterval(recording.timer);
  const duration = (Date.now() - recording.began) / 1000;
  await new Promise((resolve) => {
    recording.recorder.addEventListener("stop", resolve, { once: true });
    recording.recorder.stop();
  });
  release(recording);
  const type = recording.recorder.mimeType.split(";")[0] ?? "audio/webm";
  const file = new Blob(recording.parts, { type });
  const suffix = type.split("/")[1] ?? "webm";
  const waveform = shorten(recording.levels);
  drawWaveform(canvas, waveform, 1);
  return { file, name: `voice-message.${suffix}`, duration: Math.round(duration * 10) / 10, waveform };
}

/** @param {{stream: MediaStream, context: AudioContext}} recording */
function release({ stream, context }) {
  for (const track of stream.getTracks()) track.stop();
  void context.close();
}

/** As many bars as fit, each the loudest of its stretch. @param {number[]} levels */
function shorten(levels) {
  const bars = Math.min(WAVEFORM_BARS, levels.length);
  return Array.from({ length: bars }, (_, bar) => {
    const stretch = levels.slice(
      Math.floor((bar * levels.length) / bars),
      Math.floor(((bar + 1) * levels.length) / bars),
    );
    return Math.max(0, ...stretch);
  });
}

/** Forget what was recorded, and stop recording. */
function discard() {
  if (running) {
    clearInterval(running.timer);
    running.recorder.stop();
    release(running);
  }
  running = finished = null;
  stopListening();
  time.textContent = "0:00";
  show();
}

/**
 * End and take the recording. Whoever comes second finds none: nothing is sent twice.
 * @returns {Promise<Recording | null>}
 */
export async function finishRecording() {
  stop();
  const taken = finished;
  discard();
  const recording = await taken;
  if (recording && recording.duration < MIN_SECONDS) {
    say("That recording was too short to send.");
    return null;
  }
  return recording;
}

function stopListening() {
  if (!heard) return;
  heard.pause();
  URL.revokeObjectURL(heard.src);
  heard = null;
  listen.setAttribute("aria-label", "Listen to recording");
}

async function toggleListening() {
  const recording = finished;
  if (heard || !recording) return stopListening();
  const { file } = await recording;
  if (heard || finished !== recording) return;
  heard = new Audio(URL.createObjectURL(file));
  heard.addEventListener("ended", stopListening);
  listen.setAttribute("aria-label", "Stop listening");
  listenTo(heard);
}

/** Outside its conversation the microphone is off, and the recording waits there, as a draft does. */
function leave() {
  if (openContact() !== contactId) {
    stop();
    stopListening();
  }
  show();
}

function show() {
  const isRecording = running !== null;
  panel.hidden = openContact() !== contactId || (!isRecording && finished === null);
  input.hidden = !panel.hidden;
  listen.hidden = finished === null;
  button.setAttribute("aria-pressed", String(isRecording));
  button.setAttribute("aria-label", isRecording ? "Stop audio recording" : "Start audio recording");
}

part(".cancel-recording", panel).addEventListener("click", () => {
  discard();
  button.focus();
});
listen.addEventListener("click", () => void toggleListening());
onOpened(leave);
part(".back").addEventListener("click", leave);
