// Files in the conversation: thumbnails at once, the rest when asked for, opened here and never as a document.

import { isolated } from "./attachment.js";
import { fromBase64 } from "./encoding.js";
import { openFile, openFileV1 } from "./files.js";
import { pairsOf, read } from "./keystore.js";
import { pixelsOf } from "./pixels.js";
import { clockText, drawWaveform, levelsOf, listenTo, startPlayer } from "./player.js";
import { fromTemplate, part } from "./session.js";
import { runTransfer, sizeText } from "./transfers.js";

/** @typedef {import("./attachment.js").Attachment} Attachment */

const SAVED_MS = 60_000;
// Thumbnails of honest clients have 240 pixels a side; a camera's pictures up to a hundred million in all.
const THUMBNAIL_PIXELS = 512 * 512;
const VIEWER_PIXELS = 120e6;
const HEAD_BYTES = 512 * 1024;
const LABELS = { image: "View image", audio: "Play audio", video: "Play video", file: "Download" };
/** The type of a v1 file is known by its kind alone. */
const V1_TYPES = { image: "image/jpeg", audio: "audio/webm", video: "video/mp4", file: "application/octet-stream" };

const viewer = /** @type {HTMLDialogElement} */ (part("#viewer"));

/**
 * Show an attachment in its row.
 * @param {HTMLElement} row
 * @param {Attachment} attachment
 * @param {string} contactId
 * @returns {HTMLElement} its element
 */
export function showAttachment(row, attachment, contactId) {
  const { kind, info, name } = attachment;
  const element = fromTemplate("attachment");
  const button = part(".open-file", element);
  element.dataset.kind = kind;
  button.classList.toggle("decrypt-file-btn", kind === "file");
  part(".file-label", button).textContent = LABELS[kind];
  const size = info ? ` · ${sizeText(info.size)}` : "";
  const voice = kind === "audio" && info?.waveform ? `Voice message · ${clockText(info.duration ?? 0)}` : "";
  part(".file-name", button).textContent = kind === "image" ? "" : voice || isolated(name) + size;
  button.title = name + size;
  if (info?.thumbnail) showThumbnail(part(".thumbnail", element), info.thumbnail, info);
  button.addEventListener("click", () => void openAttachment(element, attachment, contactId));
  part(".attachment-place", row).replaceChildren(element);
  const preview = /** @type {HTMLCanvasElement} */ (part("canvas", button));
  preview.hidden = !voice;
  if (voice) drawWaveform(preview, levelsOf(info?.waveform), 0);
  return element;
}

/** What this browser cannot show may still be kept. @param {HTMLElement} element @param {Attachment} attachment @param {string} contactId */
function offerAsFile(element, attachment, contactId) {
  const row = element.closest(".message");
  if (!(row instanceof HTMLElement)) return; // the conversation was left in the meantime
  const { info } = attachment;
  const bare = info && { ...info, thumbnail: undefined };
  const fault = part(".transfer-fault", showAttachment(row, { ...attachment, info: bare, kind: "file" }, contactId));
  fault.textContent = "This browser cannot show this file. It can be downloaded.";
  fault.hidden = false;
}

/** @param {HTMLElement} image @param {string} data base64 @param {{width?: number, height?: number}} size */
function showThumbnail(image, data, { width, height }) {
  const bytes = fromBase64(data);
  if (!bytes || !(image instanceof HTMLImageElement) || pixelsOf(bytes) > THUMBNAIL_PIXELS) return;
  const address = URL.createObjectURL(new Blob([bytes], { type: "image/webp" }));
  const free = () => URL.revokeObjectURL(address);
  image.addEventListener("load", free, { once: true });
  image.addEventListener("error", free, { once: true });
  if (Number.isInteger(width) && Number.isInteger(height)) {
    image.width = Number(width);
    image.height = Number(height); // the place is kept before the picture is there
  }
  image.src = address;
  image.hidden = false;
}

/**
 * @param {HTMLElement} element
 * @param {Attachment} attachment
 * @param {string} contactId
 */
async function openAttachment(element, attachment, contactId) {
  const button = part(".open-file", element);
  if (button.ariaDisabled === "true") return;
  button.ariaDisabled = "true"; // a button that is disabled would lose the keyboard's focus
  const { info, fileUrl, kind } = attachment;
  const file = await runTransfer(element, (progress, signal) =>
    info
      ? openFile(fileUrl, info, progress, signal)
      : openFileV1(fileUrl, pairsOf(read(), contactId), V1_TYPES[kind], progress, signal),
  );
  button.ariaDisabled = null;
  if (part(".cancel-transfer", element) === document.activeElement) button.focus();
  if (!file) return;
  const giveUp = () => offerAsFile(element, attachment, contactId);
  if (kind === "image") await view(file, attachment, giveUp);
  else if (kind === "file") save(file, attachment.name);
  else play(element, file, attachment, giveUp);
}

/** @param {Blob} file @param {Attachment} attachment @param {() => void} giveUp called when it cannot be shown */
async function view(file, { name, caption }, giveUp) {
  if (pixelsOf(new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer())) > VIEWER_PIXELS) return giveUp();
  if (viewer.open) return; // another came first
  const image = /** @type {HTMLImageElement} */ (part(".media-image", viewer));
  const address = URL.createObjectURL(file);
  image.src = address;
  image.alt = caption || name;
  const saver = part(".save-image", viewer);
  const onSave = () => save(file, name);
  const onError = () => {
    viewer.close();
    giveUp();
  };
  saver.addEventListener("click", onSave);
  image.addEventListener("error", onError);
  viewer.addEventListener(
    "close",
    () => {
      URL.revokeObjectURL(address);
      image.removeAttribute("src");
      saver.removeEventListener("click", onSave);
      image.removeEventListener("error", onError);
    },
    { once: true },
  );
  viewer.showModal();
}

/** @param {Blob} file @param {string} name */
function save(file, name) {
  // Without its type: a browser that opens it anyway must not take it for a page.
  const address = URL.createObjectURL(new Blob([file], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), SAVED_MS);
}

/** @param {HTMLElement} element @param {Blob} file @param {Attachment} attachment @param {() => void} giveUp called when it cannot be shown */
function play(element, file, { kind, info }, giveUp) {
  const address = URL.createObjectURL(file);
  const button = part(".open-file", element);
  const hasFocus = document.activeElement === button;
  button.hidden = true;
  if (kind === "audio") {
    const player = fromTemplate("player");
    element.append(player);
    if (hasFocus) part(".toggle", player).focus();
    const audio = startPlayer(player, address, info?.duration, info?.waveform);
    audio.addEventListener("error", giveUp, { once: true });
    freeWhenGone(audio, address);
    return;
  }
  const video = document.createElement("video");
  video.className = "video-player";
  video.controls = true;
  video.addEventListener("error", giveUp, { once: true });
  video.src = address;
  element.append(video);
  if (hasFocus) video.focus();
  freeWhenGone(video, address);
  listenTo(video);
}

/** Give a blob back when its element has left the page. @param {HTMLMediaElement} media @param {string} address */
function freeWhenGone(media, address) {
  const watch = new MutationObserver(() => {
    if (media.isConnected) return;
    URL.revokeObjectURL(address);
    watch.disconnect();
  });
  watch.observe(document.body, { childList: true, subtree: true });
}

/** The viewer closes by its button, too. */
function startViewer() {
  part("[data-close]", viewer).addEventListener("click", () => viewer.close());
}

startViewer();
