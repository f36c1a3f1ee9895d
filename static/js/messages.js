// The rows of a conversation: opened in place, placed by their number, ticked as they travel.

import { isNoText, readAttachment } from "./attachment.js";
import { envelopeIv, OpenFault, openText } from "./crypto.js";
import { pairsOf, read, sealsFiles } from "./keystore.js";
import { writeText } from "./links.js";
import { fromTemplate, me, part } from "./session.js";
import { exactTime, timeOfDay } from "./times.js";

/**
 * @typedef {import("./sync.js").WireMessage} WireMessage
 * @typedef {import("./outbox.js").Outgoing} Outgoing
 * @typedef {import("./replay.js").ReplayGuard} ReplayGuard
 * @typedef {{text?: string, iv?: string, reason?: string, attachment?: import("./attachment.js").Attachment}} Opened
 */

/** Why a message does not open, for the person who reads. @type {Record<string, string>} */
const REASONS = {
  damaged: "This message is damaged and cannot be opened.",
  other_keys: "This message was sent with other keys. If you have a backup of them, import it in the settings.",
  no_keys: "This message cannot be opened here: the keys are not in this browser.",
  forged: "Refused: this message does not come from whom it is said to. Somebody on the way may be tampering.",
  replay: "Refused: this repeats an earlier message. Somebody on the way may be tampering.",
};

/** What a caller leaves who was not answered, and how it reads to the caller. */
export const MISSED_CALL = "📞 Missed call";
const NO_ANSWER = "📞 No answer";

const STATUS_ORDER = ["waiting", "failed", "sent", "delivered", "read"];

/** @param {string} id @param {ParentNode} list @returns {HTMLElement | null} */
export const rowOf = (id, list) => list.querySelector(`.message[data-id="${CSS.escape(id)}"]`);

/**
 * A sealed row for a message from the wire.
 * @param {WireMessage} message
 * @returns {HTMLElement}
 */
export function rowForMessage(message) {
  const row = fromTemplate("message-row");
  row.classList.toggle("own", message.senderId === me.customId);
  Object.assign(row.dataset, {
    id: message._id,
    seq: String(message.seq),
    type: message.type,
    created: message.createdAt,
    text: message.text,
    fileUrl: message.fileUrl ?? "",
    fileName: message.fileName ?? "",
    status: "sent",
  });
  return row;
}

/**
 * A row for a message of mine that waits; it opens like any other, which also proves that it will open for me later.
 * @param {Outgoing} item
 * @param {string} id its future message id
 */
export function rowForOutgoing(item, id) {
  const row = fromTemplate("message-row");
  row.classList.add("own");
  const { text, clientId, createdAt: created } = item;
  const { type = "text", fileUrl = "", fileName = "" } = item.file ?? {};
  Object.assign(row.dataset, { id, type, created, text, clientId, fileUrl, fileName });
  showOutgoing(row, item);
  return row;
}

/** Bring a row of mine up to date with its item. @param {HTMLElement} row @param {Outgoing} item */
export function showOutgoing(row, item) {
  setStatus(row, item.state, true);
  part(".retry", row).hidden = item.state !== "failed";
  row.title = item.reason ?? "";
  if (item.seq !== undefined) row.dataset.seq = String(item.seq);
}

/**
 * Put a row in its place: by its number, and what has none yet at the end. A row that is there already stays.
 * @param {HTMLElement} list
 * @param {HTMLElement} row
 */
export function place(list, row) {
  const twin = rowOf(row.dataset.id ?? "", list);
  if (twin && twin !== row) return;
  const seq = row.dataset.seq ? Number(row.dataset.seq) : Number.POSITIVE_INFINITY;
  let after = list.lastElementChild;
  while (after instanceof HTMLElement && (after === row || seqOf(after) > seq)) after = after.previousElementSibling;
  if (after) after.after(row);
  else list.prepend(row);
}

/** @param {HTMLElement} row */
const seqOf = (row) =>
  row.dataset.seq ? Number(row.dataset.seq) : row.classList.contains("message") ? Number.POSITIVE_INFINITY : 0;

/** Raise a row's status; it never goes back, but from waiting to failed and again. @param {HTMLElement} row @param {string} status @param {boolean} [force] */
export function setStatus(row, status, force = false) {
  const now = STATUS_ORDER.indexOf(row.dataset.status ?? "waiting");
  if (force || STATUS_ORDER.indexOf(status) > now) row.dataset.status = status;
}

/** Everything of mine up to a seq is delivered, or read. @param {ParentNode} list @param {number} upToSeq @param {string} status */
export function markUpTo(list, upToSeq, status) {
  for (const row of list.querySelectorAll(".message.own[data-seq]")) {
    if (row instanceof HTMLElement && Number(row.dataset.seq) <= upToSeq) setStatus(row, status);
  }
}

/**
 * Open sealed rows in place: decrypt all, ask the replay guard once, then draw all.
 * @param {HTMLElement[]} rows
 * @param {string} contactId
 * @param {ReplayGuard} guard
 */
export async function openRows(rows, contactId, guard) {
  const pairs = pairsOf(read(), contactId);
  const opened = await Promise.all(rows.map((row) => openRow(row, pairs, contactId)));
  const entries = opened.flatMap(({ iv }, index) => (iv ? [{ iv, messageId: rows[index]?.dataset.id ?? "" }] : []));
  const admitted = await guard.admit(contactId, entries);
  for (const [index, row] of rows.entries()) {
    const result = /** @type {Opened} */ (opened[index]);
    const isReplay = admitted.get(row.dataset.id ?? "") === false;
    draw(row, isReplay ? { reason: "replay" } : result);
    if (result.attachment && !isReplay) await showAttachment(row, result.attachment, contactId);
  }
}

/** @param {HTMLElement} row @param {import("./attachment.js").Attachment} attachment @param {string} contactId */
async function showAttachment(row, attachment, contactId) {
  const media = await import("./media.js"); // fetched with the first file, not with the page
  media.showAttachment(row, attachment, contactId);
}

/**
 * @param {HTMLElement} row
 * @param {import("./keystore.js").OpeningPair[]} pairs
 * @param {string} contactId
 * @returns {Promise<Opened>}
 */
async function openRow(row, pairs, contactId) {
  // An id begins with its author's; the replay guard keeps the id with the IV, so that neither can be another later.
  const [author, ...rest] = (row.dataset.id ?? "").split(":");
  const claimed = row.classList.contains("own") ? me.customId : contactId;
  if (rest.length > 0 && author !== claimed) return { reason: "forged" };
  const { type = "text", text: envelope = "", fileUrl = "", fileName = "" } = row.dataset;
  try {
    const text = envelope || type === "text" ? await openText(pairs, envelope) : "";
    const iv = envelope ? { iv: envelopeIv(envelope) } : {};
    if (type === "text") return isNoText(text) ? { reason: "damaged" } : { text, ...iv };
    const sealing = pairs.length > 0 && pairs.every(({ theirPublicKey }) => sealsFiles(theirPublicKey));
    const attachment = readAttachment(text, { type, fileUrl, fileName }, sealing);
    return attachment ? { text: attachment.caption, attachment, ...iv } : { reason: "damaged" };
  } catch (fault) {
    if (fault instanceof OpenFault) return { reason: fault.reason };
    throw fault;
  }
}

/** @param {HTMLElement} row @param {Opened} result */
function draw(row, { text, reason }) {
  const body = part(".body", row);
  row.classList.remove("sealed");
  row.classList.toggle("unopened", reason !== undefined);
  if (text === undefined) {
    body.textContent = REASONS[reason ?? "damaged"] ?? "";
  } else {
    writeText(body, row.classList.contains("own") && text === MISSED_CALL ? NO_ANSWER : text);
    delete row.dataset.text;
  }
  const time = /** @type {HTMLTimeElement} */ (part("time", row));
  const created = row.dataset.created ?? "";
  time.dateTime = created;
  time.textContent = timeOfDay(created);
  time.title = exactTime(created);
}
