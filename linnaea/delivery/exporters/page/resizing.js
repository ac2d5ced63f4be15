// How a picture becomes a square: Pillow's antialiased bicubic in its own fixed-point arithmetic, so that the pixels are
// those of training, byte for byte (src/libImaging/Resample.c of Pillow, eight bits per channel).

const PRECISION = 22; // bits after the point: 32, less 8 of a pixel and 2 of head room
const HALF = 1 << (PRECISION - 1);
const PAD_GREY = 128;

/**
 * A picture as a square: "crop" keeps its centre, "pad" all of it on grey, "stretch" bends it. `tall` says that the
 * height is shrunk first where it loses more than twice what the width does, as Pillow does from version 13 on.
 */
export function square(picture, size, fit, tall) {
  const { width, height } = picture;
  if (fit === "stretch") return resize(picture, size, size, [0, 0, width, height], tall);
  if (fit === "crop") {
    const side = Math.min(width, height);
    const [left, top] = [(width - side) / 2, (height - side) / 2];
    return resize(picture, size, size, [left, top, left + side, top + side], tall);
  }
  const scale = size / Math.max(width, height);
  const [inner, outer] = [width, height].map((length) => Math.max(1, roundedToEven(length * scale)));
  return onGrey(resize(picture, inner, outer, [0, 0, width, height], tall), size);
}

/** A picture of `width` x `height` from the box (left, top, right, bottom) of another one. */
export function resize(picture, width, height, box, tall) {
  const [left, top, right, bottom] = box.map(Math.fround);
  const passes = [];
  if (width !== picture.width || left !== 0 || right !== width) {
    passes.push((given) => across(given, width, weights(picture.width, left, right, width)));
  }
  if (height !== picture.height || top !== 0 || bottom !== height) {
    passes.push((given) => down(given, height, weights(picture.height, top, bottom, height)));
  }
  const lost = picture.height - height;
  if (tall && lost > 0 && lost > 2 * (picture.width - width)) passes.reverse();
  return passes.reduce((given, pass) => pass(given), picture);
}

/** Of each pixel of the result: where its sources begin, how many they are, and their weights. */
function weights(length, start, end, size) {
  const scale = Math.fround(end - start) / size;
  const stretched = Math.max(scale, 1);
  const support = 2 * stretched;
  const most = Math.ceil(support) * 2 + 1;
  const starts = new Int32Array(size);
  const counts = new Int32Array(size);
  const kernel = new Int32Array(size * most);
  for (let place = 0; place < size; place++) {
    const centre = start + (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(length, Math.trunc(centre + support + 0.5)) - first;
    const values = new Float64Array(count);
    let sum = 0;
    for (let step = 0; step < count; step++) {
      values[step] = bicubic((step + first - centre + 0.5) * (1 / stretched));
      sum += values[step];
    }
    starts[place] = first;
    counts[place] = count;
    for (let step = 0; step < count; step++) {
      const scaled = (sum === 0 ? values[step] : values[step] / sum) * (1 << PRECISION);
      kernel[place * most + step] = Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    }
  }
  return { starts, counts, kernel, most };
}

function bicubic(distance) {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

function across(picture, width, { starts, counts, kernel, most }) {
  const { height, channels, data } = picture;
  const result = new Uint8ClampedArray(width * height * channels);
  let target = 0;
  for (let row = 0; row < height; row++) {
    const line = row * picture.width * channels;
    for (let place = 0; place < width; place++) {
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        let source = line + starts[place] * channels + channel;
        const end = place * most + counts[place];
        for (let step = place * most; step < end; step++, source += channels) sum += data[source] * kernel[step];
        result[target++] = sum >> PRECISION;
      }
    }
  }
  return { width, height, channels, data: result };
}

function down(picture, height, { starts, counts, kernel, most }) {
  const { width, channels, data } = picture;
  const line = width * channels;
  const result = new Uint8ClampedArray(line * height);
  const sums = new Int32Array(line);
  for (let place = 0; place < height; place++) {
    sums.fill(HALF);
    for (let step = 0; step < counts[place]; step++) {
      const weight = kernel[place * most + step];
      const source = (starts[place] + step) * line;
      for (let column = 0; column < line; column++) sums[column] += data[source + column] * weight;
    }
    for (let column = 0; column < line; column++) result[place * line + column] = sums[column] >> PRECISION;
  }
  return { width, height, channels, data: result };
}

function onGrey(inner, size) {
  const { width, height, channels } = inner;
  const data = new Uint8ClampedArray(size * size * channels).fill(PAD_GREY);
  const [left, top] = [Math.floor((size - width) / 2), Math.floor((size - height) / 2)];
  for (let row = 0; row < height; row++) {
    const line = inner.data.subarray(row * width * channels, (row + 1) * width * channels);
    data.set(line, ((top + row) * size + left) * channels);
  }
  return { width: size, height: size, channels, data };
}

/** As Python rounds: a half goes to the even neighbour. */
function roundedToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
