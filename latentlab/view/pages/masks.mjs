// Masks of one frame: a byte a pixel, 0 to 255, row by row. Nothing here touches the page.

// Sets all pixels whose centre lies within `radius` of (x, y), and the one under it; returns the rows and columns touched.
export function stamp(mask, width, height, x, y, radius, value) {
  const left = Math.max(0, Math.floor(x - radius)), right = Math.min(width - 1, Math.floor(x + radius));
  const top = Math.max(0, Math.floor(y - radius)), bottom = Math.min(height - 1, Math.floor(y + radius));
  for (let row = top; row <= bottom; row++) {
    for (let column = left; column <= right; column++) {
      const inside = (column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= radius ** 2;
      if (inside || (column === Math.floor(x) && row === Math.floor(y))) mask[row * width + column] = value;
    }
  }
  return { left, top, right, bottom };
}

// Places from one to another, at most `step` apart, without the first: a quick stroke leaves no gaps.
export function along([x, y], [toX, toY], step) {
  const count = Math.max(1, Math.ceil(Math.hypot(toX - x, toY - y) / step));
  return Array.from({ length: count }, (_, k) => {
    const share = (k + 1) / count;
    return [x + share * (toX - x), y + share * (toY - y)];
  });
}

// The largest value of each pixel and its eight neighbours.
export function grown(mask, width, height) {
  return neighbours(mask, width, height, Math.max, 0);
}

// The smallest; what lies beyond the frame counts as painted, so that a mask of all stays one.
export function shrunk(mask, width, height) {
  return neighbours(mask, width, height, Math.min, 255);
}

export function inverted(mask) {
  return mask.map((value) => 255 - value);
}

export function isEmpty(mask) {
  return !mask.some(Boolean);
}

function neighbours(mask, width, height, choose, beyond) {
  const rows = mask.slice(), all = mask.slice();
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const before = column > 0 ? mask[at - 1] : beyond, after = column + 1 < width ? mask[at + 1] : beyond;
      rows[at] = choose(before, mask[at], after);
    }
  }
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      const at = row * width + column;
      const before = row > 0 ? rows[at - width] : beyond, after = row + 1 < height ? rows[at + width] : beyond;
      all[at] = choose(before, rows[at], after);
    }
  }
  return all;
}

// What was done, to be taken back: each step holds the frames that it changed, as they were.
export class History {
  constructor(limit = 200) {
    this.limit = limit;
    this.done = [];
    this.undone = [];
  }

  // frames: Map of frame -> mask before the change
  keep(frames) {
    this.done.push(frames);
    this.undone = [];
    if (this.done.length > this.limit) this.done.shift();
  }

  undo(masks) {
    return swap(this.done, this.undone, masks);
  }

  redo(masks) {
    return swap(this.undone, this.done, masks);
  }
}

// Puts the frames of the last step of one stack in place, and those that were there on the other; null where none is.
function swap(from, to, masks) {
  const step = from.pop();
  if (!step) return null;
  to.push(new Map([...step.keys()].map((frame) => [frame, masks[frame]])));
  step.forEach((mask, frame) => (masks[frame] = mask));
  return [...step.keys()];
}
