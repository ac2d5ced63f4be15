// What the bytes of a picture say of its format, its size and its wholeness, before a pixel is decoded. Decoders are
// lenient: they fill what a file lacks with grey and say nothing.

export const FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF"]; // that a browser reads
const CUT = "cut off before its end";
const END_OF_IMAGE = 0xd9;
const START_OF_SCAN = 0xda;
const FRAMES = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);
const PROGRESSIVE = new Set([0xc2, 0xc6, 0xca, 0xce]);
const MOST_SCANS = 100;

/** A picture that cannot be read; the message says why. */
export class Unreadable extends Error {}

/** The format by the first bytes, "" for none that is known here. */
export function formatOf(bytes) {
  const text = latin(bytes, 0, 16);
  if (text.startsWith("\xff\xd8\xff")) return "JPEG";
  if (text.startsWith("\x89PNG\r\n\x1a\n")) return "PNG";
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "WEBP";
  if (text.startsWith("BM")) return "BMP";
  if (text.startsWith("GIF87a") || text.startsWith("GIF89a")) return "GIF";
  return ["II*\0", "MM\0*", "II+\0", "MM\0+"].includes(text.slice(0, 4)) ? "TIFF" : "";
}

/** Width and height, and where EXIF and XMP lie; throws Unreadable for a file whose end is missing. */
export function partsOf(bytes, format) {
  return { JPEG: ofJpeg, PNG: ofPng, WEBP: ofWebp, BMP: ofBmp, GIF: ofGif }[format](bytes);
}

/** The bytes from `start` to `end` as text, a letter a byte. */
export function latin(bytes, start, end) {
  return String.fromCharCode(...bytes.subarray(start, end));
}

export function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function damaged(reason) {
  return new Unreadable(`damaged image: ${reason}`);
}

/** The chunks of a PNG as [name, start, end] of what they hold, the checksums of critical ones compared. */
export function* chunksOf(bytes) {
  const view = viewOf(bytes);
  for (let place = 8; place + 12 <= bytes.length; ) {
    const end = place + 8 + view.getUint32(place);
    const name = latin(bytes, place + 4, place + 8);
    if (end + 4 > bytes.length) throw damaged(CUT);
    const critical = (bytes[place + 4] & 0x20) === 0;
    if (critical && checksum(bytes, place + 4, end) !== view.getUint32(end)) {
      throw damaged(`wrong checksum in its ${name} chunk`);
    }
    yield [name, place + 8, end];
    if (name === "IEND") return;
    place = end + 4;
  }
  throw damaged(CUT);
}

function ofPng(bytes) {
  const parts = { width: 0, height: 0, exif: [], xmp: [] };
  for (const [name, start, end] of chunksOf(bytes)) {
    if (name === "IHDR" && end - start >= 13) {
      [parts.width, parts.height] = [viewOf(bytes).getUint32(start), viewOf(bytes).getUint32(start + 4)];
    }
    if (name === "eXIf") parts.exif.push([latin(bytes, start, start + 4) === "Exif" ? start + 6 : start, end]);
    if (name === "iTXt" && latin(bytes, start, start + 17) === "XML:com.adobe.xmp") parts.xmp.push([start, end]);
  }
  return parts;
}

function ofJpeg(bytes) {
  const parts = { width: 0, height: 0, exif: [], xmp: [], end: 0 };
  const known = new Map(); // of each component, which of its 64 coefficients are there to the last bit
  const whole = () => [...known.values()].every((sent) => sent.every(Boolean));
  let scans = 0;
  let progressive = false;
  for (const [code, start, end] of segmentsOf(bytes)) {
    if (code === 0xe1 && latin(bytes, start, start + 6) === "Exif\0\0") parts.exif.push([start + 6, end]);
    else if (code === 0xe1 && latin(bytes, start, start + 28) === "http://ns.adobe.com/xap/1.0/") parts.xmp.push([start, end]);
    else if (FRAMES.has(code)) {
      progressive = PROGRESSIVE.has(code);
      parts.height = viewOf(bytes).getUint16(start + 1);
      parts.width = viewOf(bytes).getUint16(start + 3);
      known.clear();
      for (let place = start + 6; place < end; place += 3) known.set(bytes[place], new Array(64).fill(false));
    } else if (code === START_OF_SCAN) {
      scans += 1;
      if (scans > MOST_SCANS) throw damaged(`more than ${MOST_SCANS} scans`);
      const [first, last, precision] = progressive ? bytes.subarray(end - 3, end) : [0, 63, 0];
      for (let place = start + 1; place < end - 3; place += 2) {
        known.get(bytes[place])?.fill((precision & 15) === 0, first, last + 1);
      }
      if (!progressive && whole()) {
        parts.end = lastEnd(bytes, end);
        if (parts.end < 0) throw damaged(CUT);
        return parts;
      }
    } else if (code === END_OF_IMAGE) {
      if (!whole()) throw damaged("its last scans are missing");
      parts.end = start - 2;
      return parts;
    }
  }
  throw damaged(CUT);
}

/** Each marker of a JPEG up to its end, with where its segment begins, after its length, and ends. */
function* segmentsOf(bytes) {
  let place = 2;
  while ((place = nextMarker(bytes, place)) >= 0) {
    const code = bytes[place + 1];
    place += 2;
    if (code === END_OF_IMAGE) {
      yield [code, place, place];
      return;
    }
    if (code === 0x01 || code === 0xd8) continue;
    const end = place + ((bytes[place] << 8) | bytes[place + 1]);
    if (!(end <= bytes.length) || end < place + 2) return;
    yield [code, place + 2, end];
    place = end;
  }
}

function nextMarker(bytes, from) {
  for (let place = bytes.indexOf(0xff, from); place >= 0; place = bytes.indexOf(0xff, place + 1)) {
    const code = bytes[place + 1];
    if ((code >= 0x01 && code <= 0xcf) || (code >= 0xd8 && code <= 0xfe)) return place;
  }
  return -1;
}

function lastEnd(bytes, from) {
  for (let place = bytes.length - 2; place >= from; place--) {
    if (bytes[place] === 0xff && bytes[place + 1] === END_OF_IMAGE) return place;
  }
  return -1;
}

function ofWebp(bytes) {
  const view = viewOf(bytes);
  if (8 + view.getUint32(4, true) > bytes.length + 1) throw damaged(CUT);
  const parts = { ...sizeOfWebp(bytes), exif: [], xmp: [] };
  for (let place = 12; place + 8 <= bytes.length; ) {
    const [name, length] = [latin(bytes, place, place + 4), view.getUint32(place + 4, true)];
    const [start, end] = [place + 8, Math.min(bytes.length, place + 8 + length)];
    if (name === "EXIF") parts.exif.push([latin(bytes, start, start + 4) === "Exif" ? start + 6 : start, end]);
    if (name === "XMP ") parts.xmp.push([start, end]);
    place = start + length + (length % 2);
  }
  return parts;
}

function sizeOfWebp(bytes) {
  const kind = latin(bytes, 12, 16);
  const view = viewOf(bytes);
  if (bytes.length < 30) throw damaged(CUT);
  if (kind === "VP8X") {
    const [wide, high] = [24, 27].map((at) => 1 + (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)));
    return { width: wide, height: high };
  }
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff) };
  }
  return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
}

function ofBmp(bytes) {
  if (bytes.length < 26) throw damaged(CUT);
  const view = viewOf(bytes);
  const short = view.getUint32(14, true) === 12;
  const width = short ? view.getUint16(18, true) : view.getInt32(18, true);
  const height = short ? view.getUint16(20, true) : Math.abs(view.getInt32(22, true));
  const [depth, packing] = short ? [view.getUint16(24, true), 0] : [view.getUint16(28, true), view.getUint32(30, true)];
  const row = Math.ceil((width * depth) / 32) * 4;
  if ([0, 3].includes(packing) && view.getUint32(10, true) + row * height > bytes.length) throw damaged(CUT);
  return { width, height, exif: [], xmp: [] };
}

function ofGif(bytes) {
  const view = viewOf(bytes);
  const table = (packed) => (packed & 0x80 ? 3 << ((packed & 7) + 1) : 0);
  if (bytes.length < 14) throw damaged(CUT);
  const parts = { width: view.getUint16(6, true), height: view.getUint16(8, true), exif: [], xmp: [] };
  const colours = table(bytes[10]);
  let place = 13 + colours;
  let transparent = false;
  while (bytes[place] === 0x21) {
    if (bytes[place + 1] === 0xf9) transparent = (bytes[place + 3] & 1) === 1;
    place = afterBlocks(bytes, place + 2);
  }
  if (bytes[place] !== 0x2c || place + 10 > bytes.length) throw damaged(CUT);
  const own = table(bytes[place + 9]);
  const palette = own ? place + 10 : 13;
  afterBlocks(bytes, place + 10 + own + 1);
  if (!transparent && (own || colours)) parts.ground = [...bytes.subarray(palette, palette + 3)]; // where no frame is
  return parts;
}

function afterBlocks(bytes, place) {
  while (bytes[place] > 0) place += 1 + bytes[place];
  if (!(place < bytes.length)) throw damaged(CUT);
  return place + 1;
}

const TABLE = new Uint32Array(256).map((_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
  return value;
});

function checksum(bytes, start, end) {
  let crc = 0xffffffff;
  for (let place = start; place < end; place++) crc = TABLE[(crc ^ bytes[place]) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
