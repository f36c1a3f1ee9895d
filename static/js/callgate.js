// The door to calls: their code is fetched with the first call, and their events are handled in the order they came.

import { openContact } from "./conversation.js";
import { fetched } from "./later.js";
import { part } from "./session.js";
import { on } from "./wire.js";

const EVENTS = ["incoming_call", "call_accepted", "receive_ice_candidate", "call_ended", "call_handled"];

let handled = Promise.resolve();

async function loadCalls() {
  const [calls] = await Promise.all([import("./callevents.js"), import("./callcontrols.js"), import("./leaving.js")]);
  return calls;
}

/** Begin to listen. */
export function startCallgate() {
  for (const event of EVENTS) {
    on(event, (...news) => {
      handled = handled.then(async () => (await loadCalls()).handle(event, news)).catch(reportError);
    });
  }
  part("#start-call").addEventListener("click", async () => {
    const calls = await fetched(loadCalls());
    await calls?.callOrAnswer(openContact());
  });
}
