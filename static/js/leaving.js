// Leaving in the middle of a call: one is asked, and the other side is told.

import { currentCall, finish } from "./calls.js";
import { part } from "./session.js";
import { tell } from "./wire.js";

// A logout does not wait longer for the server to have passed on that the call is over.
const FAREWELL_MS = 3000;

const dialog = /** @type {HTMLDialogElement} */ (part("#confirm-logout"));
/** Send the request that waits for an answer. */
let logOut = () => {};

/** @param {Event} event of htmx, before any of its requests */
function onRequest(event) {
  const { elt, issueRequest } = /** @type {CustomEvent<{elt: Element, issueRequest: (skip: boolean) => void}>} */ (
    event
  ).detail;
  const call = currentCall();
  if (elt.id !== "logout" || !call) return;
  event.preventDefault();
  logOut = () => issueRequest(true);
  part(".name", dialog).textContent = call.name;
  dialog.showModal();
}

/** The server closes this page's line with the logout: the call ends before. */
async function endAndLogOut() {
  dialog.close();
  await Promise.race([finish("ended"), new Promise((resolve) => setTimeout(resolve, FAREWELL_MS))]);
  logOut();
}

document.addEventListener("htmx:confirm", onRequest);
part("[value=cancel]", dialog).addEventListener("click", () => dialog.close());
part("[value=confirm]", dialog).addEventListener("click", () => void endAndLogOut());
addEventListener("beforeunload", (event) => {
  if (currentCall()) event.preventDefault();
});
addEventListener("pagehide", () => {
  const call = currentCall();
  if (call) tell("end_call", { to: call.contactId, reason: "ended", callId: call.callId });
});
