// Points of the unit square: which lies under the pointer, which lies ahead, which lie inside a ring.

// Whether (x, y) lies inside a ring of corners [x, y], by the crossings of a ray (even-odd rule).
export const inside = (x, y, ring) => {
  let odd = false;
  for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
    const [ax, ay] = ring[i], [bx, by] = ring[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
};

// Sorts points into square cells, some four a cell; returns near(x, y, reach): the point nearest within reach, or -1.
export const bucketed = (count, where) => {
  const side = Math.max(1, Math.min(256, Math.round(Math.sqrt(count / 4))));
  const place = (v) => Math.min(side - 1, Math.max(0, Math.floor(v * side)));
  const start = new Uint32Array(side * side + 1), cell = new Uint32Array(count), order = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const [x, y] = where(i);
    cell[i] = place(y) * side + place(x);
    start[cell[i] + 1]++;
  }
  for (let c = 0; c < side * side; c++) start[c + 1] += start[c];
  const next = start.slice();
  for (let i = 0; i < count; i++) order[next[cell[i]]++] = i;
  return (x, y, reach) => {
    let best = -1, least = reach * reach;
    for (let row = place(y - reach); row <= place(y + reach); row++)
      for (let k = start[row * side + place(x - reach)]; k < start[row * side + place(x + reach) + 1]; k++) {
        const [px, py] = where(order[k]), far = (px - x) ** 2 + (py - y) ** 2;
        if (far < least) [least, best] = [far, order[k]];
      }
    return best;
  };
};

// The point that an arrow (right, up) leads to from point `at`, sideways counting double; from no point (-1) the one
// nearest to [x, y]. -1 where nothing lies ahead.
export const ahead = (count, where, at, [x, y], [right, up]) => {
  const [fx, fy] = at < 0 ? [x, y] : where(at);
  let best = -1, least = Infinity;
  for (let i = 0; i < count; i++) {
    if (i === at) continue;
    const [px, py] = where(i), on = (px - fx) * right + (py - fy) * up, aside = Math.abs((px - fx) * up - (py - fy) * right);
    const far = at < 0 ? Math.hypot(px - fx, py - fy) : on > 0 ? on + 2 * aside : Infinity;
    if (far < least) [least, best] = [far, i];
  }
  return best;
};
