import assert from "node:assert/strict";
import test from "node:test";

import { ahead, bucketed, inside } from "../../../latentlab/view/pages/plane.mjs";

const RING = [[0, 0], [4, 0], [4, 4], [2, 1], [0, 4]]; // a notch from above down to (2, 1)

test("inside a ring that is not convex", () => {
  assert.ok(inside(1, 1, RING) && inside(3.5, 2, RING));
  assert.ok(!inside(2, 2, RING) && !inside(5, 1, RING) && !inside(1, -1, RING));
});

test("what lies near is what a search of all points finds", () => {
  let state = 1;
  const random = () => (state = (state * 16807) % 2147483647) / 2147483647;
  const points = Array.from({ length: 500 }, () => [random(), random()]), where = (i) => points[i];
  const near = bucketed(points.length, where);
  for (let k = 0; k < 300; k++) {
    const [x, y, reach] = [random() * 1.2 - 0.1, random() * 1.2 - 0.1, random() * 0.2];
    const far = points.map(([px, py]) => (px - x) ** 2 + (py - y) ** 2), least = Math.min(...far);
    assert.equal(near(x, y, reach), least < reach * reach ? far.indexOf(least) : -1);
  }
});

test("arrows lead to the nearest ahead, sideways counting double", () => {
  const points = [[0.5, 0.5], [0.7, 0.5], [0.6, 0.59], [0.5, 0.9], [0.1, 0.1]], where = (i) => points[i];
  const go = (at, arrow) => ahead(points.length, where, at, [0.45, 0.5], arrow);
  assert.equal(go(-1, [1, 0]), 0); // none yet: the one nearest to the middle
  assert.equal(go(0, [1, 0]), 1); // 0.2 ahead; the other is 0.1 ahead and 0.09 aside, 0.28
  assert.equal(go(0, [0, 1]), 2); // 0.09 ahead and 0.1 aside, 0.29; the other 0.4 ahead
  assert.equal(go(1, [1, 0]), -1);
});
