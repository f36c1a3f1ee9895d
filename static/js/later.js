// Code that is fetched with its first use, and not with the page.

import { say } from "./status.js";

/**
 * @template T
 * @param {Promise<T>} module
 * @returns {Promise<T | null>} null when the server is not reached, and the banner says so
 */
export async function fetched(module) {
  try {
    return await module;
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault; // HTML, 8.1.6.7.3: what cannot be fetched
    say("You are offline. This needs the server.", "bad");
    return null;
  }
}
