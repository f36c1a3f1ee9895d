// Sending files: chosen, dropped or pasted, shown before they go, sealed, uploaded, and only then a message.

import { kindOf, sealedPart } from "./attachment.js";
import { openContact } from "./conversation.js";
import { sealFile, sealFileV1, TransferFault, upload } from "./files.js";
import { isStill, prepareImage, thumbnail } from "./images.js";
import { contactOf, pairsOf, read } from "./keystore.js";
import { send } from "./outbox.js";
import { fromTemplate, part } from "./session.js";
import { say } from "./status.js";
import { cookie } from "./swaps.js";
import { runTransfer, sizeText } from "./transfers.js";

const MAX_FILES = 10;

/**
 * @typedef {{file: Blob, name: string, width?: number, height?: number, duration?: number, waveform?: number[]}} Outgoing
 */

const dialog = /** @type {HTMLDialogElement} */ (part("#attach"));
const caption = /** @type {HTMLInputElement} */ (part("#attach-caption"));
const original = /** @type {HTMLInputElement} */ (part("#attach-original"));
const list = part(".attach-list", dialog);

/** @type {{contactId: string, files: File[]}} */
let chosen = { contactId: "", files: [] };

/** Whether a contact's client understands files sealed in chunks. @param {string} contactId */
function understandsChunks(contactId) {
  const key = read().keys[contactId]?.theirPublicKey;
  return key !== undefined && (JSON.parse(key).sotto?.files ?? 0) >= 2;
}

/**
 * Show files before they are sent.
 * @param {string} contactId
 * @param {File[]} files
 */
export function offer(contactId, files) {
  if (!contactOf(read(), contactId)?.hasKeys || files.length === 0) return;
  if (files.length > MAX_FILES)
    say(`The first ${MAX_FILES} of ${files.length} files are shown: send the others after them.`, "bad");
  chosen = { contactId, files: files.slice(0, MAX_FILES) };
  list.replaceChildren(...chosen.files.map(preview));
  part(".attach-images", dialog).hidden = !chosen.files.some(isStill);
  part(".attach-clear", dialog).hidden = understandsChunks(contactId);
  original.checked = false;
  caption.value = "";
  dialog.showModal();
}

/** @param {File} file */
function preview(file) {
  const row = fromTemplate("attach-row");
  part(".name", row).textContent = file.name;
  part(".size", row).textContent = sizeText(file.size);
  part(".kept", row).hidden = isStill(file) || !/^(image\/(?!gif|svg)|video\/)/.test(file.type);
  if (kindOf(file.type) === "image") {
    const image = /** @type {HTMLImageElement} */ (part("img", row));
    const address = URL.createObjectURL(file);
    image.addEventListener("load", () => URL.revokeObjectURL(address), { once: true });
    image.addEventListener("error", () => URL.revokeObjectURL(address), { once: true });
    image.src = address;
    image.hidden = false;
  }
  return row;
}

async function sendChosen() {
  const { contactId, files } = chosen;
  const [text, asIs] = [caption.value.trim(), original.checked];
  dialog.close();
  for (const [index, file] of files.entries()) {
    const outgoing = asIs || !isStill(file) ? { file, name: file.name } : await prepareImage(file);
    if (outgoing) await sendFile(contactId, outgoing, index === 0 ? text : "");
    else
      say(`${file.name} cannot be read as a picture. It was not sent: “Send the original” sends it as it is.`, "bad");
  }
}

/**
 * Seal, upload and send one file, with a row of its own until it is a message.
 * @param {string} contactId
 * @param {Outgoing} outgoing
 * @param {string} text the caption
 */
export async function sendFile(contactId, outgoing, text) {
  const row = fromTemplate("transfer-row");
  part(".file-name", row).textContent = outgoing.name;
  row.dataset.contact = contactId;
  row.hidden = contactId !== openContact();
  part(".transfers").append(row);
  const retry = part(".retry-transfer", row);
  const drop = part(".drop-transfer", row);
  const attempt = async () => {
    retry.hidden = drop.hidden = true;
    const sent = await runTransfer(row, (progress, signal) => deliver(contactId, outgoing, text, progress, signal));
    retry.hidden = drop.hidden = sent !== null;
    if (sent) row.remove();
  };
  retry.addEventListener("click", () => void attempt());
  drop.addEventListener("click", () => row.remove());
  await attempt();
}

/**
 * @param {string} contactId
 * @param {Outgoing} outgoing
 * @param {string} text
 * @param {import("./files.js").Progress} progress
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} true; rejects with TransferFault
 */
async function deliver(contactId, { file, ...description }, text, progress, signal) {
  const csrf = cookie("sotto_csrf");
  if (!understandsChunks(contactId)) return deliverV1(contactId, file, description.name, text, csrf, progress, signal);
  const small = kindOf(file.type) === "image" ? await thumbnail(file) : undefined;
  const about = {
    ...description,
    type: file.type || "application/octet-stream",
    ...(small ? { thumbnail: small } : {}),
  };
  const { sealed, info } = await sealFile(file, about, progress, signal);
  const fileUrl = await upload(sealed, "sealed", csrf, progress, signal);
  await send(contactId, sealedPart(text, info), { type: "file", fileUrl });
  return true;
}

/**
 * @param {string} contactId
 * @param {Blob} file
 * @param {string} name
 * @param {string} text
 * @param {string} csrf
 * @param {import("./files.js").Progress} progress
 * @param {AbortSignal} signal
 */
async function deliverV1(contactId, file, name, text, csrf, progress, signal) {
  const [pair] = pairsOf(read(), contactId);
  if (!pair) throw new TransferFault("no_keys", "Exchange keys first.");
  progress("encrypting", 0, file.size);
  const fileUrl = await upload(await sealFileV1(file, pair), `encrypted_${name}.json`, csrf, progress, signal);
  await send(contactId, text, { type: kindOf(file.type), fileUrl, fileName: name });
  return true;
}

part("[data-close]", dialog).addEventListener("click", () => dialog.close());
part("form", dialog).addEventListener("submit", (event) => {
  event.preventDefault();
  void sendChosen();
});
