import assert from "node:assert/strict";
import test from "node:test";
import { History, along, grown, inverted, isEmpty, shrunk, stamp } from "../../../latentlab/view/pages/masks.mjs";

const rows = (mask, width) => Array.from({ length: mask.length / width }, (_, i) => [...mask.slice(i * width, (i + 1) * width)]);

test("a stamp is a disc, and a small one the pixel that it is in", () => {
  const mask = new Uint8Array(25);
  assert.deepEqual(stamp(mask, 5, 5, 2.5, 2.5, 1, 255), { left: 1, top: 1, right: 3, bottom: 3 });
  assert.deepEqual(rows(mask, 5).map((row) => row.map((v) => v / 255)), [
    [0, 0, 0, 0, 0], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0], [0, 0, 0, 0, 0],
  ]);
  const one = new Uint8Array(25);
  stamp(one, 5, 5, 3.9, 0.1, 0.1, 7);
  assert.equal(one[3], 7);
  assert.equal(one.reduce((a, b) => a + b), 7);
});

test("a stamp beyond the frame touches only what is in it", () => {
  const mask = new Uint8Array(9);
  stamp(mask, 3, 3, -1, 1.5, 1.6, 255);
  assert.deepEqual([...mask].map((v) => v / 255), [0, 0, 0, 1, 0, 0, 0, 0, 0]);
  stamp(mask, 3, 3, 50, 50, 2, 255);
  assert.equal(mask.reduce((a, b) => a + b), 255);
});

test("a quick stroke has no gaps", () => {
  const places = along([0, 0], [6, 8], 2);
  assert.equal(places.length, 5);
  assert.deepEqual(places.at(-1), [6, 8]);
  assert.deepEqual(along([1, 1], [1, 1], 2), [[1, 1]]);
});

test("growing takes the neighbours in, shrinking is growing of what is not painted", () => {
  const mask = Uint8Array.from([0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0]); // 4 rows of 3
  assert.deepEqual([...grown(mask, 3, 4)], [9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0]);
  const random = Uint8Array.from({ length: 42 }, (_, i) => (i * i * 7919) % 256);
  assert.deepEqual(shrunk(random, 6, 7), inverted(grown(inverted(random), 6, 7)));
  assert.deepEqual(shrunk(new Uint8Array(6).fill(255), 2, 3), new Uint8Array(6).fill(255));
});

test("what was done is taken back, and done again", () => {
  const [a, b, c] = [1, 2, 3].map((v) => Uint8Array.of(v));
  const masks = [a, a], history = new History();
  history.keep(new Map([[1, a]]));
  masks[1] = b;
  history.keep(new Map([[0, a], [1, b]]));
  masks[0] = masks[1] = c;
  assert.deepEqual(history.undo(masks), [0, 1]);
  assert.deepEqual(masks, [a, b]);
  assert.deepEqual(history.undo(masks), [1]);
  assert.deepEqual(masks, [a, a]);
  assert.equal(history.undo(masks), null);
  history.redo(masks);
  history.redo(masks);
  assert.deepEqual(masks, [c, c]);
  history.undo(masks);
  history.keep(new Map([[0, a]]));
  assert.equal(history.redo(masks), null); // another stroke forgets what was undone
});

test("an empty mask is one of zeros", () => {
  assert.ok(isEmpty(new Uint8Array(3)));
  assert.ok(!isEmpty(Uint8Array.of(0, 1)));
});
