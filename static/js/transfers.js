// One transfer as a person sees it: stage, percent, cancel, and what went wrong.

import { OpenFault } from "./crypto.js";
import { TransferFault } from "./files.js";
import { part } from "./session.js";

const STAGES = { encrypting: "Encrypting", uploading: "Uploading", downloading: "Downloading" };

/** What reading a chosen file throws when it is no longer what was chosen (File API, 7). */
const UNREADABLE = new Set(["NotReadableError", "NotFoundError"]);

/** @param {number} bytes @returns {string} e.g. “3.4 MB” */
export function sizeText(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const units = ["KB", "MB", "GB"];
  let value = bytes / 1024;
  let unit = 0;
  for (; value >= 1024 && unit < units.length - 1; unit++) value /= 1024;
  return `${value.toFixed(value < 10 ? 1 : 0)} ${units[unit]}`;
}

/**
 * Run a transfer inside an element that has the parts of the `transfer` macro.
 * @template T
 * @param {HTMLElement} element
 * @param {(progress: import("./files.js").Progress, signal: AbortSignal) => Promise<T>} work
 * @returns {Promise<T | null>} null when it was cancelled or failed, and the element says so: in words, and its code as
 *   data-fault
 */
export async function runTransfer(element, work) {
  const [bar, text] = [/** @type {HTMLProgressElement} */ (part("progress", element)), part(".transfer-text", element)];
  const [running, fault] = [part(".transfer", element), part(".transfer-fault", element)];
  const stop = new AbortController();
  const cancel = () => stop.abort();
  part(".cancel-transfer", element).addEventListener("click", cancel, { once: true });
  running.hidden = false;
  fault.hidden = true;
  delete element.dataset.fault;
  try {
    return await work((stage, done, total) => {
      bar.value = total > 0 ? (100 * done) / total : 0;
      text.textContent = `${STAGES[stage]} ${sizeText(done)} of ${sizeText(total)} (${Math.floor(bar.value)} %)`;
    }, stop.signal);
  } catch (failure) {
    fault.textContent = sentence(failure);
    fault.hidden = false;
    element.dataset.fault = failure instanceof TransferFault ? failure.code : "damaged";
    return null;
  } finally {
    running.hidden = true;
    part(".cancel-transfer", element).removeEventListener("click", cancel);
  }
}

/** @param {unknown} failure @returns {string} */
function sentence(failure) {
  if (failure instanceof TransferFault) return failure.message;
  if (failure instanceof OpenFault) {
    return failure.reason === "damaged"
      ? "This file is damaged and was not opened."
      : "This file does not open: it is damaged, or was sealed with other keys.";
  }
  if (failure instanceof DOMException && UNREADABLE.has(failure.name)) {
    return "The file cannot be read: it was changed or removed since it was chosen.";
  }
  throw failure;
}
