// A voice message being heard: waveform, position, speed.

import { part } from "./session.js";

const SPEEDS = [1, 1.5, 2];

/** @param {number} seconds @returns {string} m:ss */
export function clockText(seconds) {
  const whole = Number.isFinite(seconds) ? Math.max(0, Math.floor(seconds)) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/**
 * Draw a waveform; what is already heard is darker.
 * @param {HTMLCanvasElement} canvas
 * @param {number[]} waveform 0–100 each
 * @param {number} heard 0–1
 */
export function drawWaveform(canvas, waveform, heard) {
  const context = canvas.getContext("2d");
  if (!context) return;
  const { width, height } = canvas;
  context.clearRect(0, 0, width, height);
  context.fillStyle = getComputedStyle(canvas).color;
  const step = width / waveform.length;
  for (const [index, level] of waveform.entries()) {
    const bar = Math.max(2, (Math.min(100, Math.max(0, level)) / 100) * height);
    context.globalAlpha = index / waveform.length < heard ? 1 : 0.4;
    context.fillRect(index * step, (height - bar) / 2, Math.max(1, step - 1.5), bar);
  }
}

/** What of a sealed waveform can be drawn. @param {unknown} waveform @returns {number[]} */
export const levelsOf = (waveform) => (Array.isArray(waveform) ? waveform.filter(Number.isFinite).slice(0, 200) : []);

/** One recording is heard at a time. @param {EventTarget | null} playing null pauses all */
export function pauseOthers(playing) {
  for (const media of document.querySelectorAll(".audio-player, .video-player")) {
    if (media !== playing) /** @type {HTMLMediaElement} */ (media).pause();
  }
}

document.addEventListener("play", ({ target }) => pauseOthers(target), true);

/** Play, unless a pause comes first or the format is unknown, which is the `error` event's to tell. @param {HTMLMediaElement} media */
export function listenTo(media) {
  media.play().catch((fault) => {
    if (!(fault instanceof DOMException && ["AbortError", "NotSupportedError"].includes(fault.name))) throw fault;
  });
}

/**
 * Play an audio file in the parts of the `player` macro.
 * @param {HTMLElement} element
 * @param {string} address blob URL
 * @param {number | undefined} duration in seconds; recordings of MediaRecorder do not carry theirs
 * @param {number[] | undefined} waveform
 * @returns {HTMLAudioElement}
 */
export function startPlayer(element, address, duration, waveform) {
  const audio = /** @type {HTMLAudioElement} */ (part(".audio-player", element));
  const canvas = /** @type {HTMLCanvasElement} */ (part("canvas", element));
  const seek = /** @type {HTMLInputElement} */ (part("input", element));
  const [toggle, speed, time] = [part(".toggle", element), part(".speed", element), part(".player-time", element)];
  const levels = levelsOf(waveform);
  const length = () => (Number.isFinite(audio.duration) ? audio.duration : (duration ?? 0));
  canvas.hidden = levels.length === 0;
  const show = () => {
    const heard = length() > 0 ? audio.currentTime / length() : 0;
    seek.value = String(Math.round(heard * 100));
    seek.setAttribute("aria-valuetext", `${clockText(audio.currentTime)} of ${clockText(length())}`);
    time.textContent = `${clockText(audio.currentTime)} / ${clockText(length())}`;
    toggle.dataset.playing = String(!audio.paused);
    toggle.setAttribute("aria-label", audio.paused ? "Play" : "Pause");
    drawWaveform(canvas, levels, heard);
  };
  for (const event of ["play", "pause", "timeupdate", "ended", "loadedmetadata"]) audio.addEventListener(event, show);
  toggle.addEventListener("click", () => (audio.paused ? listenTo(audio) : audio.pause()));
  seek.addEventListener("input", () => {
    audio.currentTime = (Number(seek.value) / 100) * length();
  });
  speed.addEventListener("click", () => {
    const next = SPEEDS[(SPEEDS.indexOf(audio.playbackRate) + 1) % SPEEDS.length] ?? 1;
    audio.playbackRate = next;
    speed.textContent = `${next}×`;
    speed.setAttribute("aria-label", `Speed ${next}`);
  });
  audio.src = address;
  show();
  listenTo(audio);
  return audio;
}
