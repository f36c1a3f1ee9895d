// Pictures before they are sealed: scaled and encoded anew, which also drops EXIF and the place they were taken at.

import { toBase64 } from "./encoding.js";

const MAX_SIDE_PX = 2048;
const QUALITY = 0.85;
/** Tried one after the other: a picture full of detail fits only as a smaller one. */
const THUMBNAIL_SIDES_PX = [240, 160, 96];
const THUMBNAIL_QUALITY = 0.6;
// The thumbnail travels inside the sealed text, which may have 124 KiB as a list of numbers.
const THUMBNAIL_MAX_BYTES = 12_000;
/** What browsers decode and a canvas may keep still; an animation or a drawing (SVG) is sent as it is. */
const STILL = new Set(["image/jpeg", "image/png", "image/webp", "image/avif", "image/bmp"]);

/**
 * @typedef {{file: Blob, name: string, width: number, height: number}} Prepared
 */

/** Whether a file is a picture that can be encoded anew. @param {File} file */
export const isStill = (file) => STILL.has(file.type);

/**
 * @param {ImageBitmap} bitmap
 * @param {number} side longest side in pixels
 * @param {number} quality 0–1
 * @returns {Promise<Blob>} WebP, or JPEG where the browser cannot write that
 */
async function encode(bitmap, side, quality) {
  const scale = Math.min(1, side / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(
    Math.max(1, Math.round(bitmap.width * scale)),
    Math.max(1, Math.round(bitmap.height * scale)),
  );
  const context = canvas.getContext("2d");
  if (!context) throw new Error("This browser gives no canvas.");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const webp = await canvas.convertToBlob({ type: "image/webp", quality });
  if (webp.type === "image/webp") return webp;
  // Safari writes no WebP, and gives a PNG of many times the size. JPEG has no transparency: behind it is white.
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/jpeg", quality });
}

/**
 * A picture as it will be sent. @param {File} file
 * @returns {Promise<Prepared | null>} null when the browser cannot read it as a picture
 */
export async function prepareImage(file) {
  const bitmap = await decode(file);
  if (!bitmap) return null;
  const encoded = await encode(bitmap, MAX_SIDE_PX, QUALITY);
  const { width, height } = await sizeOf(encoded);
  bitmap.close();
  const suffix = encoded.type.replace("image/", "");
  return { file: encoded, name: `${file.name.replace(/\.[^.]*$/, "") || "picture"}.${suffix}`, width, height };
}

/** @param {Blob} file */
async function sizeOf(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

/** @param {Blob} file @returns {Promise<ImageBitmap | null>} */
async function decode(file) {
  try {
    return await createImageBitmap(file);
  } catch (fault) {
    if (fault instanceof DOMException) return null;
    throw fault;
  }
}

/**
 * A small picture that shows at once. @param {Blob} file
 * @returns {Promise<string | undefined>} WebP as base64; undefined when it is no picture, or fits at no size
 */
export async function thumbnail(file) {
  const bitmap = await decode(file);
  if (!bitmap) return undefined;
  try {
    for (const side of THUMBNAIL_SIDES_PX) {
      const small = await encode(bitmap, side, THUMBNAIL_QUALITY);
      if (small.size <= THUMBNAIL_MAX_BYTES) return toBase64(new Uint8Array(await small.arrayBuffer()));
    }
    return undefined;
  } finally {
    bitmap.close();
  }
}
