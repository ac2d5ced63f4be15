// How the camera was held: the EXIF orientation of a file, from 1 (upright) to 8, and pictures turned by it.

const ORIENTATION = 0x0112;
const IN_XMP = /tiff:Orientation(?:="|>)([0-9])/;

/** The orientation that EXIF or, without it, XMP tells, and where in the file EXIF does, as `at`, else -1. */
export function orientationIn(bytes, parts) {
  for (const [start, end] of parts.exif) {
    const found = inExif(bytes, start, end);
    if (found) return found;
  }
  for (const [start, end] of parts.xmp) {
    const match = IN_XMP.exec(new TextDecoder("latin1").decode(bytes.subarray(start, end)));
    if (match) return { orientation: known(Number(match[1])), at: -1 };
  }
  return { orientation: 1, at: -1 };
}

/** The file with an EXIF orientation of 1, so that no browser turns what we turn. */
export function asStored(bytes, at) {
  if (at < 0) return bytes;
  const copy = bytes.slice();
  copy.set([1, 1], at); // read from either end it is no orientation, which leaves the picture as it lies
  return copy;
}

/** A picture as it was held. */
export function upright(picture, orientation) {
  if (orientation === 1) return picture;
  const { width, height, channels, data } = picture;
  const swapped = orientation > 4;
  const [wide, high] = swapped ? [height, width] : [width, height];
  const result = new Uint8ClampedArray(data.length);
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBottom = [3, 4, 6, 7].includes(orientation);
  let target = 0;
  for (let row = 0; row < high; row++) {
    for (let column = 0; column < wide; column++) {
      let [x, y] = swapped ? [row, column] : [column, row];
      if (fromRight) x = width - 1 - x;
      if (fromBottom) y = height - 1 - y;
      const source = (y * width + x) * channels;
      for (let channel = 0; channel < channels; channel++) result[target++] = data[source + channel];
    }
  }
  return { width: wide, height: high, channels, data: result };
}

function inExif(bytes, start, end) {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start);
  try {
    const little = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, little);
    const count = view.getUint16(directory, little);
    for (let entry = 0; entry < count; entry++) {
      const place = directory + 2 + entry * 12;
      if (view.getUint16(place, little) === ORIENTATION) {
        return { orientation: known(view.getUint16(place + 8, little)), at: start + place + 8 };
      }
    }
  } catch {
    return null; // a broken remark does not make the picture unreadable
  }
  return null;
}

function known(value) {
  return value >= 1 && value <= 8 ? value : 1;
}
