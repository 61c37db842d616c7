import assert from "node:assert/strict";
import test from "node:test";

import { SHAPES, colorOf, outline, rgb, said, shapeOf } from "../../../latentlab/view/pages/marks.mjs";

const LOOK = {
  palette: [["#aa0000", "#ff8888"], ["#00aa00", "#88ff88"], ["#777777", "#999999"]],
  maps: { sequential: ["#000000", "#888888", "#ffffff"], circular: ["#100000", "#200000", "#300000", "#400000", "#100000"] },
  dark: false,
};
const shape = { name: "shape", kind: "categorical", labels: ["star", "circle", "cross"] };
const size = { name: "size", kind: "sequential", low: 2, high: 6 };
const hue = { name: "hue", kind: "circular", low: 0, high: 360 };

test("colours of categories, of amounts, of angles and of what is unknown", () => {
  assert.deepEqual(rgb("#0a10ff"), [10, 16, 255]);
  assert.equal(colorOf(shape, 1, LOOK), "#00aa00");
  assert.equal(colorOf(shape, 2, LOOK), "#aa0000"); // starts again before the last, which means unknown
  assert.equal(colorOf(shape, 1, { ...LOOK, dark: true }), "#88ff88");
  assert.equal(colorOf(size, NaN, LOOK), "#777777");
  assert.deepEqual([-9, 2, 4, 6, 99].map((v) => colorOf(size, v, LOOK)), ["#000000", "#000000", "#888888", "#ffffff", "#ffffff"]);
  assert.equal(colorOf(hue, -90, LOOK), colorOf(hue, 270, LOOK));
  assert.equal(colorOf({ ...size, high: 2 }, 2, LOOK), "#000000"); // all alike
});

test("shapes stay in their square, and categories that share a colour differ in shape", () => {
  for (const [i] of SHAPES.entries()) assert.ok(outline(i).flat().every((v) => Math.abs(v) <= 1 + 1e-12), `shape ${i}`);
  assert.notEqual(shapeOf(shape, 0), shapeOf(shape, 2));
  assert.equal(shapeOf(shape, NaN), SHAPES.length - 1);
  assert.equal(shapeOf(size, 3), 0);
  assert.equal(shapeOf(undefined, 3), 0);
});

test("values in words", () => {
  assert.equal(said(shape, 2), "cross");
  assert.equal(said(size, 3.14159265), "3.142");
  assert.equal(said(hue, NaN), "–");
});
