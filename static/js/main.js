// The entry: opens this account's keys, then the line, and ties the parts of the page together.

import "./swaps.js";
import { startCallgate } from "./callgate.js";
import { startComposer } from "./composer.js";
import { addWriter, forgetPresence, onPresence, startContacts } from "./contacts.js";
import { openConversation, startConversation } from "./conversation.js";
import { available } from "./crypto.js";
import { askAgain, startExchange } from "./exchange.js";
import { AccountChanged, onChange, openAccount } from "./keystore.js";
import { resume, startOutbox } from "./outbox.js";
import { openReplayGuard } from "./replay.js";
import { startRequests } from "./requests.js";
import { me } from "./session.js";
import { startSettings } from "./settings.js";
import { endOffline, say, sayOffline, sayWhile } from "./status.js";
import { onMessages, startSync, sync } from "./sync.js";
import { connect, on, WireFault } from "./wire.js";

const NO_CRYPTO =
  "This browser gives no encryption to pages that come over plain HTTP. Open Sotto by its https:// address, or on this computer as http://localhost.";

async function onConnect() {
  sayWhile("");
  endOffline();
  try {
    await sync();
    await askAgain();
    await resume();
  } catch (fault) {
    if (!(fault instanceof WireFault)) throw fault;
    if (!fault.unknown) say(fault.message, "bad");
  }
}

function onDisconnect() {
  sayWhile("Connection lost. Reconnecting… What you write is kept and sent when it is back.");
  forgetPresence();
}

/** A server that takes the line but not me says why. @param {any} fault */
function onRefused({ message, data }) {
  onDisconnect();
  if (data?.code) sayWhile(message);
}

/** What was pressed did not reach the server; history that is loaded by itself has its own words. @param {Event} event */
function onSendError(event) {
  const { elt } = /** @type {CustomEvent<{elt: Element}>} */ (event).detail;
  if (elt.matches("#logout, .add-contact")) sayOffline();
}

/** What was under way when another account took over ends with this page. @param {Event} event @param {unknown} fault */
function onFault(event, fault) {
  if (!(fault instanceof AccountChanged)) return;
  event.preventDefault();
  location.assign("/");
}

async function start() {
  if (!available()) {
    sayWhile(NO_CRYPTO);
    return;
  }
  const { damaged } = await openAccount(me);
  onChange(({ ownerChanged }) => {
    // Somebody else logged in in another tab: this page's cookie is theirs by now.
    if (ownerChanged) location.assign("/");
  });
  window.addEventListener("error", (event) => onFault(event, event.error));
  window.addEventListener("unhandledrejection", (event) => onFault(event, event.reason));
  startConversation(await openReplayGuard(me.customId));
  startContacts({ onOpen: (id) => void openConversation(id) });
  startComposer();
  startSettings();
  startRequests();
  startSync();
  startCallgate();
  onMessages((id) => void addWriter(id));
  onPresence((id, isOnline) => isOnline && void askAgain(id));
  await startExchange();
  await startOutbox();
  on("connect", () => void onConnect());
  on("disconnect", onDisconnect);
  on("connect_error", onRefused);
  addEventListener("online", endOffline); // an absence so short that the socket did not notice it
  document.addEventListener("htmx:sendError", onSendError);
  connect();
  if (damaged.length > 0)
    say("Some stored data was damaged and has been set aside. Import your backup if keys are missing.", "bad");
  else if ("welcome" in document.body.dataset) {
    say(`Welcome, ${me.username}. Your account was created. Share your ID to be found.`, "good");
    history.replaceState(null, "", "/");
  }
}

start().catch((fault) => {
  sayWhile(
    "Sotto could not start in this browser. Reload the page; if that does not help, tell whoever runs this server.",
  );
  throw fault;
});
