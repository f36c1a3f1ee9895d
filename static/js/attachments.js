// Sending files: chosen, dropped or pasted, shown before they go, sealed, uploaded, and only then a message.

import { kindOf, plainName, sealedPart } from "./attachment.js";
import { openContact } from "./conversation.js";
import { sealFile, sealFileV1, sealOverhead, TransferFault, upload, V1_MAX_BYTES } from "./files.js";
import { isStill, prepareImage, thumbnail } from "./images.js";
import { contactOf, pairsOf, read, sealsFiles } from "./keystore.js";
import { send } from "./outbox.js";
import { fromTemplate, part } from "./session.js";
import { say } from "./status.js";
import { cookie } from "./swaps.js";
import { runTransfer, sizeText } from "./transfers.js";
import { on } from "./wire.js";

const MAX_FILES = 10;
const MAX_BYTES = Number(document.body.dataset.maxUploadBytes);
const AS_IT_IS = "as it is, with what the camera wrote into it (place, time, device).";
const KEPT = `Sent ${AS_IT_IS}`;
const UNREADABLE = `This cannot be read as a picture. It was not sent. The original goes ${AS_IT_IS}`;
/** What a camera made, and cannot be encoded anew here. */
const FROM_CAMERA = /^(image\/(?!gif|svg)|video\/)/;
/** Refusals that another try would only meet again. */
const FINAL = new Set(["too_large", "validation", "unsupported"]);

/**
 * @typedef {{file: Blob, name: string, width?: number, height?: number, duration?: number, waveform?: number[]}} Outgoing
 * @typedef {{text: string}} Caption of files chosen together; the first of them that is sent takes it along
 */

const dialog = /** @type {HTMLDialogElement} */ (part("#attach"));
const caption = /** @type {HTMLInputElement} */ (part("#attach-caption"));
const original = /** @type {HTMLInputElement} */ (part("#attach-original"));
const submit = /** @type {HTMLButtonElement} */ (part("[type=submit]", dialog));
const list = part(".attach-list", dialog);
const queue = part(".transfers");
const input = part("#message-input");

/** @type {{contactId: string, files: Set<File>}} */
let chosen = { contactId: "", files: new Set() };
/** How to try again, by the row of what did not get through. @type {Map<HTMLElement, () => Promise<void>>} */
const failed = new Map();

/** Whether a contact's client understands files sealed in chunks. @param {string} contactId */
function understandsChunks(contactId) {
  const key = read().keys[contactId]?.theirPublicKey;
  return key !== undefined && sealsFiles(key);
}

/**
 * Show files before they are sent.
 * @param {string} contactId
 * @param {File[]} files
 */
export function offer(contactId, files) {
  if (!contactOf(read(), contactId)?.hasKeys || files.length === 0) return;
  const shown = files.slice(0, MAX_FILES);
  const more = part(".attach-more", dialog);
  more.hidden = files.length <= MAX_FILES;
  more.textContent = `The first ${MAX_FILES} of ${files.length} files are shown. Send the others after them.`;
  const inChunks = understandsChunks(contactId);
  const largest = inChunks ? MAX_BYTES - sealOverhead(MAX_BYTES) : V1_MAX_BYTES;
  // A picture becomes smaller before it is sent.
  const fits = (/** @type {File} */ file) => file.size <= largest || isStill(file);
  chosen = { contactId, files: new Set(shown.filter(fits)) };
  const tooLarge = `Too large: ${inChunks ? MAX_BYTES >> 20 : V1_MAX_BYTES / 1e6} MB at most. It is not sent.`;
  list.replaceChildren(...shown.map((file) => preview(file, fits(file) ? "" : tooLarge)));
  part(".attach-clear", dialog).hidden = inChunks;
  original.checked = false;
  caption.value = "";
  showChosen();
  dialog.showModal();
}

function showChosen() {
  part(".attach-images", dialog).hidden = ![...chosen.files].some(isStill);
  submit.disabled = chosen.files.size === 0;
}

/** @param {File} file @param {string} remark */
function preview(file, remark) {
  const row = fromTemplate("attach-row");
  const name = plainName(file.name);
  part(".name", row).textContent = name;
  part(".size", row).textContent = sizeText(file.size);
  part(".remark", row).textContent = remark || (!isStill(file) && FROM_CAMERA.test(file.type) ? KEPT : "");
  part(".remark", row).hidden = part(".remark", row).textContent === "";
  const leaveOut = part(".leave-out", row);
  leaveOut.setAttribute("aria-label", `Leave out ${name}`);
  leaveOut.addEventListener("click", () => {
    chosen.files.delete(file);
    row.remove();
    if (list.childElementCount === 0) dialog.close();
    else submit.focus();
    showChosen();
  });
  if (kindOf(file.type) === "image") {
    const image = /** @type {HTMLImageElement} */ (part("img", row));
    const address = URL.createObjectURL(file);
    const end = (/** @type {Event} */ { type }) => {
      image.hidden = type === "error";
      URL.revokeObjectURL(address);
    };
    for (const event of ["load", "error"]) image.addEventListener(event, end, { once: true });
    image.src = address;
    image.hidden = false;
  }
  return row;
}

async function sendChosen() {
  const { contactId, files } = chosen;
  const asIs = original.checked;
  const words = { text: caption.value.trim() };
  dialog.close();
  const waiting = [...files].map((file) => ({ file, row: waitingRow(contactId, plainName(file.name)) }));
  for (const { file, row } of waiting) {
    if (!row.isConnected) continue; // taken back while it waited
    const original = { file, name: plainName(file.name) };
    const outgoing = asIs || !isStill(file) ? original : await prepareImage(file);
    if (!row.isConnected) continue;
    if (outgoing) await transfer(row, contactId, outgoing, words);
    else refuse(row, contactId, original, words);
  }
}

/**
 * A picture that cannot be rid of what the camera wrote into it waits until somebody decides.
 * @param {HTMLElement} row
 * @param {string} contactId
 * @param {Outgoing} original
 * @param {Caption} words
 */
function refuse(row, contactId, original, words) {
  const [consent, fault] = [part(".send-original", row), part(".transfer-fault", row)];
  part(".transfer-waiting", row).hidden = true;
  fault.textContent = UNREADABLE;
  fault.hidden = consent.hidden = false;
  consent.addEventListener("click", () => void transfer(row, contactId, original, words), { once: true });
  tellElsewhere(row, contactId, original.name);
}

/** Who is in another conversation does not see the row. @param {HTMLElement} row @param {string} contactId @param {string} name */
function tellElsewhere(row, contactId, name) {
  if (row.hidden) say(`${name} was not sent to ${contactOf(read(), contactId)?.username ?? contactId}.`, "bad");
}

/** @param {string} contactId @param {string} name @returns {HTMLElement} */
function waitingRow(contactId, name) {
  const row = fromTemplate("transfer-row");
  part(".file-name", row).textContent = name;
  row.dataset.contact = contactId;
  row.hidden = contactId !== openContact();
  part(".transfer-waiting", row).hidden = part(".drop-transfer", row).hidden = false;
  part(".drop-transfer", row).addEventListener("click", () => {
    failed.delete(row);
    row.remove();
    input.focus();
  });
  queue.append(row);
  return row;
}

/**
 * Seal, upload and send one file, with a row of its own until it is a message.
 * @param {string} contactId
 * @param {Outgoing} outgoing
 */
export const sendFile = (contactId, outgoing) =>
  transfer(waitingRow(contactId, outgoing.name), contactId, outgoing, { text: "" });

/**
 * @param {HTMLElement} row
 * @param {string} contactId
 * @param {Outgoing} outgoing
 * @param {Caption} words
 */
async function transfer(row, contactId, outgoing, words) {
  const [retry, drop] = [part(".retry-transfer", row), part(".drop-transfer", row)];
  const offers = [retry, drop, part(".send-original", row), part(".transfer-waiting", row)];
  const isUsed = () => row.contains(document.activeElement); // the keyboard's focus goes on to what can be pressed next
  const attempt = async () => {
    failed.delete(row);
    const wasUsed = isUsed();
    for (const offered of offers) offered.hidden = true;
    const running = runTransfer(row, (progress, signal) => deliver(contactId, outgoing, words, progress, signal));
    if (wasUsed) part(".cancel-transfer", row).focus();
    const sent = await running;
    const isLeft = isUsed();
    if (sent) {
      row.remove();
      if (isLeft) input.focus();
      return;
    }
    drop.hidden = false;
    retry.hidden = FINAL.has(row.dataset.fault ?? "");
    if (isLeft) (retry.hidden ? drop : retry).focus();
    failed.set(row, attempt);
    tellElsewhere(row, contactId, outgoing.name);
  };
  retry.addEventListener("click", () => void attempt());
  await attempt();
}

/** What failed with the line goes again when the line is back. */
async function onConnect() {
  for (const [row, attempt] of [...failed]) if (row.dataset.fault === "offline") await attempt();
}

/**
 * @param {string} contactId
 * @param {Outgoing} outgoing
 * @param {Caption} words
 * @param {import("./files.js").Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} true; rejects with TransferFault
 */
async function deliver(contactId, { file, ...description }, words, progress, signal) {
  const csrf = cookie("sotto_csrf");
  if (!understandsChunks(contactId)) return deliverV1(contactId, file, description.name, words, csrf, progress, signal);
  const small = kindOf(file.type) === "image" ? await thumbnail(file) : undefined;
  const about = {
    ...description,
    type: file.type || "application/octet-stream",
    ...(small ? { thumbnail: small } : {}),
  };
  const { sealed, info } = await sealFile(file, about, progress, signal);
  const fileUrl = await upload(sealed, "sealed", csrf, progress, signal);
  await sendWith(words, (text) => send(contactId, sealedPart(text, info), { type: "file", fileUrl }));
  return true;
}

/**
 * @param {string} contactId
 * @param {Blob} file
 * @param {string} name
 * @param {Caption} words
 * @param {string} csrf
 * @param {import("./files.js").Progress} progress
 * @param {AbortSignal} signal
 */
async function deliverV1(contactId, file, name, words, csrf, progress, signal) {
  const [pair] = pairsOf(read(), contactId);
  if (!pair) throw new TransferFault("no_keys", "Exchange keys first.");
  progress("encrypting", 0, file.size);
  const fileUrl = await upload(await sealFileV1(file, pair), `encrypted_${name}.json`, csrf, progress, signal);
  await sendWith(words, (text) => send(contactId, text, { type: kindOf(file.type), fileUrl, fileName: name }));
  return true;
}

/** One message has the caption, and none loses it. @param {Caption} words @param {(text: string) => Promise<unknown>} post */
async function sendWith(words, post) {
  const { text } = words;
  words.text = "";
  try {
    await post(text);
  } catch (fault) {
    words.text = text;
    throw fault;
  }
}

on("connect", () => void onConnect());
addEventListener("beforeunload", (event) => {
  if (queue.childElementCount > 0) event.preventDefault(); // what is not a message yet would be gone
});
part("[data-close]", dialog).addEventListener("click", () => dialog.close());
part("form", dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  void sendChosen();
});
