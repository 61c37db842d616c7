// How a value of a factor looks and reads: its colour, its shape, its words.

export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// Colour of a value. look: palette of [light, dark] pairs, the last for what is unknown; maps of colours by kind; dark.
export const colorOf = (factor, value, { palette, maps, dark }) => {
  const theme = dark ? 1 : 0, last = palette.length - 1;
  if (Number.isNaN(value)) return palette[last][theme];
  if (factor.kind === "categorical") return palette[Math.trunc(value) % last][theme];
  const part = (value - factor.low) / (factor.high - factor.low || 1), map = maps[factor.kind];
  const place = factor.kind === "circular" ? ((part % 1) + 1) % 1 : Math.min(1, Math.max(0, part));
  return map[Math.round(place * (map.length - 1))];
};

// Categories differ in shape too: half its width at a height y from -1, on top, to 1, the last for what is unknown.
export const SHAPES = [
  (y) => Math.sqrt(Math.max(0, 1 - y * y)),
  (y) => (Math.abs(y) < 0.85 ? 0.85 : 0),
  (y) => (1 + y) / 2,
  (y) => 1 - Math.abs(y),
  (y) => (1 - y) / 2,
  (y) => (Math.abs(y) < 0.33 ? 1 : 0.33),
  (y) => Math.max(0.2, Math.abs(y)),
];
const HEIGHTS = Array.from({ length: 41 }, (_, i) => i / 20 - 1);

// Corners of a shape, down its right side and up its left.
export const outline = (shape) => [
  ...HEIGHTS.map((y) => [SHAPES[shape](y), y]),
  ...HEIGHTS.map((y) => [-SHAPES[shape](-y), -y]),
];

export const shapeOf = (factor, value) => {
  if (factor?.kind !== "categorical") return 0;
  return Number.isNaN(value) ? SHAPES.length - 1 : Math.trunc(value) % SHAPES.length;
};

export const said = (factor, value) => {
  if (Number.isNaN(value)) return "–";
  if (factor.kind === "categorical") return factor.labels[Math.trunc(value)];
  return Number(value.toPrecision(4)).toString();
};
