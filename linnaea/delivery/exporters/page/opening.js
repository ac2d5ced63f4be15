// From the bytes of a file to a picture as it was held, in eight bits: { width, height, channels, data }.

import { asStored, orientationIn, upright } from "./orientation.js";
import { decodePng } from "./png.js";
import { FORMATS, Unreadable, damaged, formatOf, partsOf } from "./wholeness.js";

const AT_ONCE = 1 << 22; // pixels of a strip that is taken from the browser's decoder
const SPARE = 2; // a scaled JPEG keeps this many pixels for each one that is asked for
const WHITE = 65535;
const USED_BITS = [8, 10, 12, 14, 16]; // that grey values of 16 bits are known to have
const FILLER = new Uint8Array(4096).map((_, place) => (place % 2 ? 0xa4 : 0x5b));

/** The picture in a file; `flat`: without transparency. Throws Unreadable with the reason. */
export async function open(bytes, size, { max_pixels: most, white }, flat) {
  const format = formatOf(bytes);
  if (!bytes.length) throw new Unreadable("empty file (0 bytes)");
  if (!format) throw new Unreadable(`not an image in a supported format (${FORMATS.join(", ")})`);
  if (format === "TIFF") throw new Unreadable("this page reads no TIFF, because browsers do not: use predict.py");
  const parts = partsOf(bytes, format);
  requirePixels(parts, most);
  const { orientation, at } = orientationIn(bytes, parts);
  if (format === "PNG") return upright(settled(await decodePng(bytes), white, flat), orientation);
  const stored = asStored(bytes, at);
  const scale = format === "JPEG" ? scaleOf(parts, size) : 1;
  const ground = flat ? (parts.ground ?? [255, 255, 255]) : null;
  const picture = await byBrowser(stored, format, scale, ground);
  if (format === "JPEG") await requireEnd(stored, parts.end, picture, scale, ground);
  return upright(flat ? picture : withAlpha(picture), orientation);
}

function requirePixels({ width, height }, most) {
  if (width * height <= most) return;
  const [wide, high, limit] = [width, height, most].map((value) => value.toLocaleString("en"));
  throw new Unreadable(`${wide} x ${high} pixels is over the limit of ${limit}`);
}

/** By how much libjpeg would shrink a large JPEG while it decodes it: 1, 2, 4 or 8. */
function scaleOf({ width, height }, size) {
  const scale = Math.min(width, height) / (SPARE * size);
  if (scale < 2) return 1;
  const asked = Math.min(...[width, height].map((length) => Math.floor(length / Math.trunc(length / scale))));
  return [8, 4, 2, 1].find((known) => asked >= known);
}

/** What the browser decodes, in RGB over the ground (null: it must be opaque), shrunk by averages of `scale` pixels. */
async function byBrowser(bytes, format, scale, ground) {
  let bitmap;
  try {
    const blob = new Blob([bytes], { type: `image/${format.toLowerCase()}` });
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  } catch {
    throw damaged("the browser cannot decode it");
  }
  try {
    return stripsOf(bitmap, scale, ground);
  } finally {
    bitmap.close();
  }
}

/** The pixels of a bitmap, read strip by strip, because a canvas of all of it may be larger than a phone allows. */
function stripsOf(bitmap, scale, ground) {
  const [wide, high] = [bitmap.width, bitmap.height];
  const [width, height] = [wide, high].map((length) => Math.ceil(length / scale));
  const rows = Math.max(scale, Math.floor(AT_ONCE / wide / scale) * scale);
  const data = new Uint8ClampedArray(width * height * 3);
  const canvas = new OffscreenCanvas(wide, Math.min(rows, high));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < high; top += rows) {
    context.clearRect(0, 0, wide, canvas.height);
    if (ground) {
      context.fillStyle = `rgb(${ground.join(" ")})`;
      context.fillRect(0, 0, wide, canvas.height);
    }
    context.drawImage(bitmap, 0, -top);
    const strip = context.getImageData(0, 0, wide, Math.min(rows, high - top));
    if (!ground) requireOpaque(strip);
    data.set(shrunk(strip, scale), (top / scale) * width * 3);
  }
  return { width, height, channels: 3, data };
}

function requireOpaque({ data }) {
  for (let place = 3; place < data.length; place += 4) {
    if (data[place] < 255) throw new Unreadable("this page reads the transparency of PNG alone: use predict.py");
  }
}

/** Averages of squares of `scale` pixels, as libjpeg's scaled transform makes them, without alpha. */
function shrunk({ width, height, data }, scale) {
  const [wide, high] = [width, height].map((length) => Math.ceil(length / scale));
  const result = new Uint8ClampedArray(wide * high * 3);
  let target = 0;
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      const [right, bottom] = [Math.min(width, (column + 1) * scale), Math.min(height, (row + 1) * scale)];
      let [red, green, blue, count] = [0, 0, 0, 0];
      for (let y = row * scale; y < bottom; y++) {
        for (let x = column * scale; x < right; x++, count++) {
          const source = (y * width + x) * 4;
          red += data[source];
          green += data[source + 1];
          blue += data[source + 2];
        }
      }
      for (const sum of [red, green, blue]) result[target++] = Math.floor(sum / count + 0.5);
    }
  }
  return result;
}

/** A decoder makes grey of what a JPEG lacks, and goes on: with more data before its end a whole one stays as it is. */
async function requireEnd(bytes, end, picture, scale, ground) {
  const last = picture.data.subarray(-3);
  if (!last.every((value) => Math.abs(value - 128) <= 1)) return;
  const filled = new Uint8Array(bytes.length + FILLER.length);
  filled.set(bytes.subarray(0, end));
  filled.set(FILLER, end);
  filled.set(bytes.subarray(end), end + FILLER.length);
  const other = await byBrowser(filled, "JPEG", scale, ground);
  if (other.data.some((value, place) => value !== picture.data[place])) throw damaged("its end is missing");
}

/** What our own decoder made, in RGB or RGBA of eight bits. */
function settled(picture, white, flat) {
  const eight = picture.sixteen ? inEightBits(picture, white) : picture;
  return flat ? overWhite(eight) : withAlpha(eight);
}

function inEightBits({ width, height, data }, given) {
  let highest = 0;
  for (const value of data) highest = Math.max(highest, value);
  const white = given ?? 2 ** USED_BITS.find((bits) => highest < 1 << bits) - 1;
  if (highest > white) {
    throw new Unreadable(`grey values up to ${highest}, but white is ${white}: its scale is different`);
  }
  const result = new Uint8ClampedArray(width * height * 3);
  data.forEach((value, pixel) => {
    const brightness = Math.floor((value * 255 + Math.floor(white / 2)) / white);
    result.fill(brightness, 3 * pixel, 3 * pixel + 3);
  });
  return { width, height, channels: 3, data: result };
}

/** What is transparent laid over white, in the integers of Pillow's alpha_composite. */
function overWhite(picture) {
  if (picture.channels === 3) return picture;
  const { width, height, data } = picture;
  const result = new Uint8ClampedArray(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = data[4 * pixel + 3] * 128;
    for (let channel = 0; channel < 3; channel++) {
      const sum = data[4 * pixel + channel] * alpha + 255 * (255 * 128 - alpha) + (128 << 7);
      result[3 * pixel + channel] = ((sum >> 8) + sum) >> 8 >> 7;
    }
  }
  return { width, height, channels: 3, data: result };
}

function withAlpha(picture) {
  if (picture.channels === 4) return picture;
  const { width, height, data } = picture;
  const result = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) result.set(data.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
  return { width, height, channels: 4, data: result };
}
