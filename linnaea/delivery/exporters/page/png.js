// PNG decoded here, not by the browser, which keeps eight bits of sixteen and loses colours under transparency.

import { chunksOf, damaged, viewOf } from "./wholeness.js";

const GREY = 0;
const PALETTE = 3;
const SAMPLES = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const PASSES = [[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]];

/** A PNG as { width, height, channels, data }: 3 or 4 channels of eight bits or, as `sixteen` says, grey of 16. */
export async function decodePng(bytes) {
  const header = headerOf(bytes);
  const { width, height, depth, colour, interlaced } = header;
  const raw = await inflated(header.data);
  const values = new Uint16Array(width * height * SAMPLES[colour]);
  const passes = interlaced ? PASSES : [[0, 0, 1, 1]];
  let place = 0;
  for (const pass of passes) place = readPass(raw, place, pass, header, values);
  if (colour === GREY && depth === 16) return { width, height, channels: 1, sixteen: true, data: values };
  return { width, height, ...inColours(values, header) };
}

function headerOf(bytes) {
  const view = viewOf(bytes);
  const header = { data: [], palette: new Uint8Array(0), transparency: null };
  for (const [name, start, end] of chunksOf(bytes)) {
    const content = bytes.subarray(start, end);
    if (name === "IHDR") {
      const [depth, colour, , , interlaced] = bytes.subarray(start + 8, start + 13);
      Object.assign(header, { width: view.getUint32(start), height: view.getUint32(start + 4) });
      Object.assign(header, { depth, colour, interlaced });
    } else if (name === "PLTE") header.palette = content;
    else if (name === "tRNS") header.transparency = content;
    else if (name === "IDAT") header.data.push(content);
  }
  if (!header.width || !header.height) throw damaged("it has no size");
  if (!DEPTHS[header.colour]?.includes(header.depth)) throw damaged("no PNG has such colours");
  return header;
}

async function inflated(parts) {
  const packed = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const chunks = [];
  try {
    for (const reader = packed.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      chunks.push(value);
    }
  } catch {
    if (!chunks.length) throw damaged("its pixels cannot be unpacked"); // what follows their end is of no interest
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

/** Read the rows of one pass of interlacing, or of all of them, from `place` on; returns where the next begin. */
function readPass(raw, place, [left, top, across, down], header, values) {
  const { width, height, depth, colour } = header;
  const samples = SAMPLES[colour];
  const wide = Math.ceil((width - left) / across);
  const high = Math.ceil((height - top) / down);
  if (wide <= 0 || high <= 0) return place;
  const length = Math.ceil((wide * samples * depth) / 8);
  const step = Math.max(1, (samples * depth) >> 3);
  let above = new Uint8Array(length);
  for (let row = 0; row < high; row++, place += length + 1) {
    if (place + 1 + length > raw.length) throw damaged("image file is truncated");
    const line = raw.subarray(place + 1, place + 1 + length);
    unfilter(raw[place], line, above, step);
    for (let column = 0; column < wide; column++) {
      const target = ((top + row * down) * width + left + column * across) * samples;
      for (let sample = 0; sample < samples; sample++) {
        values[target + sample] = sampleAt(line, column * samples + sample, depth);
      }
    }
    above = line;
  }
  return place;
}

function unfilter(kind, line, above, step) {
  if (kind > 4) throw damaged("a row of it has an unknown filter");
  for (let place = 0; kind > 0 && place < line.length; place++) {
    const left = place < step ? 0 : line[place - step];
    const corner = place < step ? 0 : above[place - step];
    if (kind === 1) line[place] += left;
    else if (kind === 2) line[place] += above[place];
    else if (kind === 3) line[place] += (left + above[place]) >> 1;
    else line[place] += nearest(left, above[place], corner);
  }
}

function nearest(left, above, corner) {
  const guess = left + above - corner;
  const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (a <= b && a <= c) return left;
  return b <= c ? above : corner;
}

function sampleAt(line, number, depth) {
  if (depth === 8) return line[number];
  if (depth === 16) return (line[2 * number] << 8) | line[2 * number + 1];
  const bit = number * depth;
  return (line[bit >> 3] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
}

function inColours(values, header) {
  const { width, height, colour, transparency } = header;
  const channels = transparency || colour > PALETTE ? 4 : 3;
  const data = new Uint8ClampedArray(width * height * channels);
  const colours = colour === PALETTE ? ofPalette(header) : ofValues(header);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const rgba = colours(values, pixel * SAMPLES[colour]);
    for (let channel = 0; channel < channels; channel++) data[pixel * channels + channel] = rgba[channel];
  }
  return { channels, data };
}

function ofPalette({ palette, transparency }) {
  const colours = Array.from({ length: 256 }, (_, index) => {
    const [red = 0, green = 0, blue = 0] = palette.subarray(3 * index, 3 * index + 3);
    return [red, green, blue, transparency?.[index] ?? 255];
  });
  return (values, place) => colours[values[place]];
}

function ofValues({ depth, colour, transparency }) {
  const scale = depth < 8 ? 255 / ((1 << depth) - 1) : 1;
  const shift = depth === 16 ? 8 : 0;
  const given = transparency && [1, 3, 5].map((place) => transparency[Math.min(place, transparency.length - 1)]);
  const rgba = [0, 0, 0, 255];
  return (values, place) => {
    const at = (sample) => (values[place + sample] >> shift) * scale;
    const colourful = colour === 2 || colour === 6;
    for (let channel = 0; channel < 3; channel++) rgba[channel] = at(colourful ? channel : 0);
    if (colour > PALETTE) rgba[3] = at(colourful ? 3 : 1);
    else if (given) rgba[3] = given.every((value, channel) => value === rgba[channel]) ? 0 : 255; // as Pillow compares
    return rgba;
  };
}
