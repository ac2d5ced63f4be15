// The one way from a file to the pixels that the model is given: as training decoded its images.

import { open } from "./opening.js";
import { square } from "./resizing.js";

/** Pixels (size, size, channels), 0 to 255, of a file by a recipe; throws Unreadable. For `tall` see `square`. */
export async function decode(bytes, recipe, tall) {
  const { size, fit, channels = 3 } = recipe;
  const picture = await open(bytes, size, recipe, channels !== 4);
  return square(channels === 1 ? inGrey(picture) : picture, size, fit, tall).data;
}

function inGrey({ width, height, data }) {
  const grey = new Uint8ClampedArray(width * height);
  for (let pixel = 0; pixel < grey.length; pixel++) {
    const [red, green, blue] = data.subarray(3 * pixel, 3 * pixel + 3);
    grey[pixel] = (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: grey };
}
