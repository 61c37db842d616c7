// A mask of grid x grid cells, and the circle that a brush paints on it.

// Cells from rows of "0" and "1"; none painted where there are no rows.
export const read = (rows, grid) => Uint8Array.from(rows.join("").padEnd(grid * grid, "0"), Number);

// Rows of "0" and "1"; no rows where nothing is painted.
export const write = (cells, grid) => {
  const text = cells.join("");
  return text.includes("1") ? Array.from({ length: grid }, (_, i) => text.slice(i * grid, (i + 1) * grid)) : [];
};

// Sets the cells within radius (in cell widths) of a place [column, row], and at least the cell it is in: a circle on the
// screen, whatever the shape of a cell. ratio is the frame's height over its width.
export const dab = (cells, grid, [x, y], radius, ratio, value) => {
  for (let i = 0; i < cells.length; i++) {
    const [column, row] = [i % grid, Math.floor(i / grid)];
    const inside = Math.hypot(column + 0.5 - x, (row + 0.5 - y) * ratio) <= radius;
    if (inside || (column === Math.floor(x) && row === Math.floor(y))) cells[i] = value;
  }
};

// The middle of the cell so many columns and rows away from a place, held inside the grid.
export const beside = (grid, place, steps) =>
  place.map((at, axis) => Math.min(grid - 0.5, Math.max(0.5, Math.floor(at) + 0.5 + steps[axis])));
