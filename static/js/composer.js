// The input area: text, drafts, the sign of typing, sending.

import { onOpened, openContact } from "./conversation.js";
import { startDropping } from "./dropping.js";
import { contactOf, onChange, read } from "./keystore.js";
import { fetched } from "./later.js";
import { retry, send } from "./outbox.js";
import { me, part } from "./session.js";
import { say } from "./status.js";
import { tell } from "./wire.js";

const TYPING_IDLE_MS = 2000;
const TYPING_REPEAT_MS = 3000;
const RECORDING_WAITS = "You are offline. The recording is kept: send it when the line is back.";

const form = /** @type {HTMLFormElement} */ (part(".composer"));
const input = /** @type {HTMLTextAreaElement} */ (part("#message-input"));
const button = /** @type {HTMLButtonElement} */ (part("[aria-label='Send message']", form));
const locked = part("#composer-locked");
const attach = /** @type {HTMLButtonElement} */ (part("#attach-file"));
const record = /** @type {HTMLButtonElement} */ (part("#record"));
const chooser = /** @type {HTMLInputElement} */ (part("#file-upload"));

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
  for (const control of [input, button, attach, record]) control.disabled = !hasKeys;
  locked.hidden = hasKeys;
  form.dataset.locked = String(!hasKeys);
}

/** Each conversation shows its own files on their way. */
function showTransfers() {
  for (const row of document.querySelectorAll(".transfer-row")) {
    if (row instanceof HTMLElement) row.hidden = row.dataset.contact !== openContact();
  }
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
  if (input.value.length >= input.maxLength)
    say(`A message has ${input.maxLength.toLocaleString()} characters at most.`);
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
  if (await sendRecording(id)) return;
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

/** The code for files and voice is fetched with its first use, not with the page. @param {Iterable<File>} files */
async function offerFiles(files) {
  const taken = [...files]; // the input and the clipboard empty their lists as soon as this event is over
  const attachments = await fetched(import("./attachments.js"));
  attachments?.offer(openContact(), taken);
}

/** “Send message” ends a recording, and sends it. @param {string} id @returns {Promise<boolean>} whether there was one */
async function sendRecording(id) {
  if (part(".recording", form).hidden) return false;
  const { finishRecording, stop } = await import("./recorder.js"); // it recorded: it is here already
  stop();
  const attachments = await fetched(import("./attachments.js"), RECORDING_WAITS);
  if (!attachments) return true;
  const recording = await finishRecording();
  if (recording) void attachments.sendFile(id, recording);
  input.focus();
  return true;
}

async function toggleRecording() {
  const recorder = await fetched(import("./recorder.js"));
  if (!recorder) return;
  void fetched(import("./attachments.js"), RECORDING_WAITS); // what sends it comes while it is recorded
  await recorder.toggle();
}

function bindFiles() {
  attach.addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => {
    void offerFiles(chooser.files ?? []);
    chooser.value = "";
  });
  input.addEventListener("paste", (event) => {
    const files = event.clipboardData?.files ?? [];
    if (files.length === 0) return;
    event.preventDefault();
    void offerFiles(files);
  });
  startDropping(
    () => openContact() !== "" && !input.disabled,
    (files) => void offerFiles(files),
  );
  record.addEventListener("click", () => void toggleRecording());
}

/** Begin. */
export function startComposer() {
  bindFiles();
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
    showTransfers();
    input.value = sessionStorage.getItem(draftName(openContact())) ?? "";
    fit();
    unlock();
    if (matchMedia("(pointer: fine)").matches) input.focus();
  });
  onChange(unlock);
}
