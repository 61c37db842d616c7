import assert from "node:assert/strict";
import test from "node:test";

import { GRID, between, sceneOf, side, toMap, toScreen, unpack, where, zoomAt } from "../../../latentlab/view/pages/scene.mjs";

const packed = (array) => Buffer.from(array.buffer).toString("base64");
const PLACES = [new Uint16Array([0, 0, GRID, GRID]), new Uint16Array([GRID, 0, GRID, GRID])];
const made = () => Object.assign(sceneOf(PLACES, [1, 0.5]), { width: 400, height: 300 });

test("what the page holds is unpacked as it was", () => {
  const values = new Float32Array([1.5, NaN]);
  const { places, factors } = unpack({ places: PLACES.map(packed), factors: [{ name: "size", values: packed(values) }] });
  assert.deepEqual(places, PLACES);
  assert.deepEqual(factors, [{ name: "size", values }]);
});

test("points move evenly from map to map", () => {
  const scene = made();
  assert.deepEqual(where(scene, 0), [0, 0]);
  scene.step = 0.25;
  assert.deepEqual(where(scene, 0), [0.25, 0]);
  assert.deepEqual(where(scene, 1), [1, 1]);
  scene.step = 1; // the last map has none after it
  assert.deepEqual([between(scene).high, ...where(scene, 0)], [1, 1, 0]);
});

test("the screen and back; all maps fit in; up is up", () => {
  const scene = made();
  assert.equal(side(scene), 0.92 * 400); // as wide as the map, which is half as high
  const [x, y] = toScreen(scene, [0.25, 0.75]);
  assert.ok(x < 200 && y < 150);
  const back = toMap(scene, [x, y]);
  assert.ok(Math.abs(back[0] - 0.25) + Math.abs(back[1] - 0.75) < 1e-12);
});

test("what lies under the pointer stays there, zoom by zoom, within bounds", () => {
  const scene = made(), place = [50, 70], before = toMap(scene, place);
  for (const by of [1.5, 0.7, 1e9, 1e-9]) {
    zoomAt(scene, place, by);
    const after = toMap(scene, place);
    assert.ok(Math.hypot(after[0] - before[0], after[1] - before[1]) < 1e-9);
  }
  assert.equal(scene.zoom, 0.5);
});
