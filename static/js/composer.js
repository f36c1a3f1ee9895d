// The input area: text, drafts, the sign of typing, sending.

import { onOpened, openContact } from "./conversation.js";
import { contactOf, onChange, read } from "./keystore.js";
import { retry, send } from "./outbox.js";
import { me, part } from "./session.js";
import { say } from "./status.js";
import { tell } from "./wire.js";

const TYPING_IDLE_MS = 2000;
const TYPING_REPEAT_MS = 3000;

const form = /** @type {HTMLFormElement} */ (part(".composer"));
const input = /** @type {HTMLTextAreaElement} */ (part("#message-input"));
const button = /** @type {HTMLButtonElement} */ (part("[aria-label='Send message']", form));
const locked = part("#composer-locked");

let idleTimer = 0;
let typingTo = "";
let typingSince = 0;

/** Drafts live as long as the tab: they survive a reload, and leave no plaintext behind. @param {string} id */
const draftName = (id) => `draft:${me.customId}:${id}`;

/** @param {string} draft */
function keepDraft(draft) {
  const name = draftName(openContact());
  if (draft) sessionStorage.setItem(name, draft);
  else sessionStorage.removeItem(name);
}

function fit() {
  input.rows = Math.min(6, input.value.split("\n").length);
}

function unlock() {
  const hasKeys = contactOf(read(), openContact())?.hasKeys ?? false;
  input.disabled = !hasKeys;
  button.disabled = !hasKeys;
  locked.hidden = hasKeys;
  form.dataset.locked = String(!hasKeys);
}

function stopTyping() {
  clearTimeout(idleTimer);
  if (typingTo) tell("typing", { receiverId: typingTo, isTyping: false });
  typingTo = "";
}

function onInput() {
  const id = openContact();
  keepDraft(input.value);
  fit();
  if (!input.value) return stopTyping();
  const now = Date.now();
  if (typingTo !== id || now - typingSince > TYPING_REPEAT_MS) {
    tell("typing", { receiverId: id, isTyping: true });
    typingTo = id;
    typingSince = now;
  }
  clearTimeout(idleTimer);
  idleTimer = setTimeout(stopTyping, TYPING_IDLE_MS);
}

/** @param {Event} event */
async function onSubmit(event) {
  event.preventDefault();
  const text = input.value.trim();
  const id = openContact();
  if (!text || !id) return;
  stopTyping();
  input.value = "";
  keepDraft("");
  fit();
  try {
    await send(id, text);
  } catch (fault) {
    input.value = text; // nothing typed is lost
    if (openContact() === id) keepDraft(text);
    say("The message could not be encrypted. It is still in the input.", "bad");
    throw fault;
  }
}

/** Begin. */
export function startComposer() {
  form.addEventListener("submit", (event) => void onSubmit(event));
  input.addEventListener("input", onInput);
  input.addEventListener("keydown", (event) => {
    // A phone's Enter makes a new line; isComposing: Enter that ends an input method's word sends nothing.
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && !matchMedia("(pointer: coarse)").matches) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  part(".message-scroll").addEventListener("click", (event) => {
    const row = /** @type {HTMLElement} */ (event.target).closest(".retry")?.closest(".message");
    if (row instanceof HTMLElement && row.dataset.clientId) retry(row.dataset.clientId);
  });
  onOpened(() => {
    stopTyping();
    input.value = sessionStorage.getItem(draftName(openContact())) ?? "";
    fit();
    unlock();
    if (matchMedia("(pointer: fine)").matches) input.focus();
  });
  onChange(unlock);
}
