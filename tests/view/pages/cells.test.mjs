import assert from "node:assert/strict";
import test from "node:test";

import { beside, dab, read, write } from "../../../latentlab/view/pages/cells.mjs";

test("rows to cells and back; nothing painted is no rows", () => {
  const rows = ["010", "000", "001"];
  assert.deepEqual(write(read(rows, 3), 3), rows);
  assert.deepEqual(write(read([], 3), 3), []);
});

test("a dab is round on the screen and at least the cell it is in; wiping takes it back", () => {
  const cells = read([], 9);
  dab(cells, 9, [4.5, 4.5], 2, 1, 1);
  assert.equal(cells.reduce((sum, on) => sum + on), 13); // lattice points within 2 of the middle
  dab(cells, 9, [4.5, 4.5], 2, 1, 0);
  assert.deepEqual(write(cells, 9), []);
  dab(cells, 9, [4.5, 4.5], 2, 0.5, 1); // cells half as high as wide
  const rows = write(cells, 9);
  assert.deepEqual([rows.filter((row) => row.includes("1")).length, rows[4]], [9, "001111100"]);
  const least = read([], 9);
  dab(least, 9, [0.1, 8.9], 0.1, 1, 1);
  assert.equal(write(least, 9)[8], "100000000");
});

test("keys step from middle to middle, not out of the frame", () => {
  assert.deepEqual(beside(9, [4.2, 4.9], [1, -1]), [5.5, 3.5]);
  assert.deepEqual(beside(9, [0, 9], [-1, 1]), [0.5, 8.5]);
});
