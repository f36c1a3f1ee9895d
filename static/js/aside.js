// Dialogs that make room for a call: what was chosen or typed in them is there again when it is over.

import { openContact, openConversation } from "./conversation.js";

const COVERING = "#attach[open], #settings[open], #viewer[open], #confirm-rekey[open]";
const KEPT = "#attach, #settings";

/** With the contact a dialog was open for, if it was for one, and what had the keyboard. @type {Map<EventTarget, {contactId: string, focused: Element | null}>} */
const aside = new Map();
/** Those whose close event is still to come. @type {Set<EventTarget>} */
const closing = new Set();

/** Close what would keep the panel of a call out of reach. */
export function putAside() {
  for (const dialog of /** @type {NodeListOf<HTMLDialogElement>} */ (document.querySelectorAll(COVERING))) {
    if (dialog.matches(KEPT)) {
      // Files go to whom they were chosen for, so their dialog is not to stand over another conversation.
      const contactId = dialog.id === "attach" ? openContact() : "";
      aside.set(dialog, { contactId, focused: document.activeElement });
      closing.add(dialog);
    }
    dialog.close();
  }
}

/** The call is over: open them again. */
export function bringBack() {
  for (const [dialog, { contactId, focused }] of [...aside]) {
    aside.delete(dialog);
    if (!(dialog instanceof HTMLDialogElement) || dialog.open) continue;
    if (contactId && contactId !== openContact()) void openConversation(contactId);
    dialog.showModal();
    if (focused instanceof HTMLElement && dialog.contains(focused)) focused.focus();
  }
}

/** @param {Event} event */
function onClose(event) {
  const { target } = event;
  if (!target) return;
  if (closing.delete(target))
    event.stopPropagation(); // its own code would forget what was chosen and typed
  else aside.delete(target); // used, and closed, in the middle of the call
}

document.addEventListener("close", onClose, true);
