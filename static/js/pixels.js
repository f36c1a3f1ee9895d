// What a picture says of its size, read before anything decodes it: a few bytes can stand for a gigabyte of pixels.

/** @typedef {{width: number, height: number}} Size in pixels */

/** @param {Uint8Array} bytes @param {number} at @param {string} text */
const says = (bytes, at, text) => [...text].every((letter, index) => bytes[at + index] === letter.charCodeAt(0));

/** WebP (RFC 9649); not of animations, whose frames have sizes of their own. @param {Uint8Array} bytes @param {DataView} view */
function webpSize(bytes, view) {
  if (says(bytes, 12, "VP8 ")) {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  if (says(bytes, 12, "VP8L")) {
    const packed = view.getUint32(21, true);
    return { width: (packed & 0x3fff) + 1, height: ((packed >>> 14) & 0x3fff) + 1 };
  }
  if (!says(bytes, 12, "VP8X") || view.getUint8(20) & 0x02) return null;
  return { width: (view.getUint32(24, true) & 0xffffff) + 1, height: (view.getUint32(26, true) >>> 8) + 1 };
}

/** JPEG (ITU-T T.81, annex B): the first frame header. @param {DataView} view */
function jpegSize(view) {
  for (let at = 2; at < view.byteLength; at += 2 + view.getUint16(at + 2)) {
    const marker = view.getUint16(at);
    if (marker < 0xffc0 || marker > 0xfffe) return null;
    const isFrame = marker <= 0xffcf && ![0xffc4, 0xffc8, 0xffcc].includes(marker);
    if (isFrame) return { width: view.getUint16(at + 7), height: view.getUint16(at + 5) };
  }
  return null;
}

/** AVIF (ISO/IEC 23008-12): the largest of its image spatial extents. @param {Uint8Array} bytes @param {DataView} view */
function avifSize(bytes, view) {
  const size = { width: 0, height: 0 };
  for (let at = 0; at < bytes.length - 16; at++) {
    if (!says(bytes, at, "ispe")) continue;
    size.width = Math.max(size.width, view.getUint32(at + 8));
    size.height = Math.max(size.height, view.getUint32(at + 12));
  }
  return size.width > 0 ? size : null;
}

/** @param {Uint8Array} bytes @param {DataView} view @returns {Size | null} */
function read(bytes, view) {
  if (says(bytes, 0, "RIFF") && says(bytes, 8, "WEBP")) return webpSize(bytes, view);
  if (says(bytes, 0, "\u00ff\u00d8")) return jpegSize(view);
  if (says(bytes, 1, "PNG")) return { width: view.getUint32(16), height: view.getUint32(20) };
  if (says(bytes, 0, "GIF8")) return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  if (says(bytes, 0, "BM")) return { width: view.getUint32(18, true), height: Math.abs(view.getInt32(22, true)) };
  return says(bytes, 4, "ftyp") ? avifSize(bytes, view) : null;
}

/**
 * How many pixels decoding a picture makes.
 * @param {Uint8Array<ArrayBuffer>} head its first bytes; a few hundred kilobytes are enough
 * @returns {number} infinite when it does not say
 */
export function pixelsOf(head) {
  try {
    const size = read(head, new DataView(head.buffer, head.byteOffset, head.byteLength));
    return size ? size.width * size.height : Number.POSITIVE_INFINITY;
  } catch (fault) {
    if (fault instanceof RangeError) return Number.POSITIVE_INFINITY; // it ends before it says
    throw fault;
  }
}
