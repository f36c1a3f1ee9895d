// Code that is fetched with its first use, and not with the page.

import { sayOffline } from "./status.js";

/**
 * @template T
 * @param {Promise<T>} module
 * @param {string} [sentence] what the banner says when the server is not reached
 * @returns {Promise<T | null>} null when the server is not reached
 */
export async function fetched(module, sentence) {
  try {
    return await module;
  } catch (fault) {
    if (!(fault instanceof TypeError)) throw fault; // HTML, 8.1.6.7.3: what cannot be fetched
    sayOffline(sentence);
    return null;
  }
}
