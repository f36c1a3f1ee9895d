// Who is logged in, as the server rendered it into the page.

/** My 12-digit id and my name. */
export const me = Object.freeze({
  customId: document.body.dataset.customId ?? "",
  username: document.body.dataset.username ?? "",
});

/**
 * The element of the page for a selector; the page is ours, so a missing one is a mistake in it.
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} selector
 * @param {ParentNode} [within]
 * @returns {T}
 */
export function part(selector, within = document) {
  const found = within.querySelector(selector);
  if (!found) throw new Error(`The page has no ${selector}.`);
  return /** @type {T} */ (found);
}

/**
 * A copy of the first element of a `<template>`.
 * @param {string} id
 * @returns {HTMLElement}
 */
export function fromTemplate(id) {
  const template = /** @type {HTMLTemplateElement} */ (part(`template#${id}`));
  return /** @type {HTMLElement} */ (document.importNode(template.content, true).firstElementChild);
}
