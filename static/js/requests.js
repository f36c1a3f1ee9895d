// The key exchange modal: shows the requests that wait, one at a time.

import { accept, isPending, onIncoming, reject, waitingRequests } from "./exchange.js";
import { contactOf, read } from "./keystore.js";
import { part } from "./session.js";

const dialog = /** @type {HTMLDialogElement} */ (part("#key-exchange"));
/** The asker that is shown, "" when none is. */
let shown = "";
/** Askers that were put off with Escape; they stay reachable by “Exchange Keys”. @type {Set<string>} */
const postponed = new Set();

function show() {
  const waiting = waitingRequests();
  for (const id of postponed) if (!waiting.some(({ fromUserId }) => fromUserId === id)) postponed.delete(id);
  const next = waiting.find(({ fromUserId }) => !postponed.has(fromUserId));
  if (!next) {
    shown = "";
    dialog.close();
    return;
  }
  const contact = contactOf(read(), next.fromUserId);
  shown = next.fromUserId;
  part(".asker", dialog).textContent = next.fromUsername;
  part(".asker-id", dialog).textContent = `(${next.fromUserId})`;
  part(".stranger", dialog).hidden = contact !== undefined;
  part(".rekey", dialog).hidden = !contact?.hasKeys || isPending(read(), next.fromUserId);
  if (!dialog.open) dialog.showModal();
}

/** @param {(id: string) => Promise<void>} answer */
function answerWith(answer) {
  const id = shown;
  if (id) void answer(id);
}

/** Begin to show requests. */
export function startRequests() {
  onIncoming(show);
  part("#accept-exchange").addEventListener("click", () => answerWith(accept));
  part("#reject-exchange").addEventListener("click", () => answerWith(reject));
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (shown) postponed.add(shown);
    show();
  });
}
