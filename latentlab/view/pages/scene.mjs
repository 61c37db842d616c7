// A map on the screen: points on a grid of 65,535 steps over the unit square, between two of several maps, under a view.

export const GRID = 65535;

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));

// What a page holds as base64: places of the points on each map, and values of the factors.
export const unpack = ({ places, factors }) => ({
  places: places.map((text) => new Uint16Array(bytes(text).buffer)),
  factors: factors.map((factor) => ({ ...factor, values: new Float32Array(bytes(factor.values).buffer) })),
});

// A view of maps; x and y are its middle, step says which map: 1.25 is a quarter of the way from the second to the third.
export const sceneOf = (places, extent) => {
  const count = places[0].length / 2;
  return {
    places, extent, count, step: 0, x: 0.5, y: 0.5, zoom: 1, width: 1, height: 1, ratio: 1,
    colors: new Uint8Array(4 * count), shapes: new Float32Array(count), chosen: new Uint8Array(count), some: 0,
  };
};

// The two maps between which the scene stands, and how far it is from the first to the second.
export const between = ({ places, step }) => {
  const low = Math.floor(step), high = Math.min(low + 1, places.length - 1);
  return { low, high, a: places[low], b: places[high], t: step - low };
};

export const where = (scene, i) => {
  const { a, b, t } = between(scene);
  return [0, 1].map((axis) => ((1 - t) * a[2 * i + axis] + t * b[2 * i + axis]) / GRID);
};

// Pixels of the unit square's side: all maps fit in at zoom 1.
export const side = ({ width, height, extent, zoom }) =>
  Math.min(width / Math.max(0.05, extent[0]), height / Math.max(0.05, extent[1])) * zoom * 0.92;

export const toScreen = (scene, [x, y]) => [
  scene.width / 2 + (x - scene.x) * side(scene),
  scene.height / 2 - (y - scene.y) * side(scene),
];

export const toMap = (scene, [x, y]) => [
  scene.x + (x - scene.width / 2) / side(scene),
  scene.y - (y - scene.height / 2) / side(scene),
];

// The zoom times `by`, what lies at a place of the screen staying there.
export const zoomAt = (scene, place, by) => {
  const before = toMap(scene, place);
  scene.zoom = Math.min(200, Math.max(0.5, scene.zoom * by));
  const after = toMap(scene, place);
  scene.x += before[0] - after[0];
  scene.y += before[1] - after[1];
};

// Pixels across a point: many points are small, and grow slower than the map.
export const size = ({ count, zoom }) => Math.min(16, Math.max(2.2, 90 / Math.sqrt(count)) * 1.6 * zoom ** 0.25);
