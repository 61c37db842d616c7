// Drawing the points of a scene: by the graphics card if there is one, else pixel by pixel, which is faster than a card
// in software. Each returns { draw, upload }: draw a frame; take in new colours and shapes.

import { SHAPES, outline } from "./marks.mjs";
import { GRID, between, side, size, toScreen, where } from "./scene.mjs";

export const hardware = () => {
  const probe = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
  const named = probe && probe.getExtension("WEBGL_debug_renderer_info");
  return probe && !(named && /swiftshader|llvmpipe|software/i.test(probe.getParameter(named.UNMASKED_RENDERER_WEBGL)));
};

const VERTEX = `
  attribute vec2 a, b; attribute vec4 color; attribute float shape; uniform vec2 centre, scale; uniform float mixed, size;
  varying vec4 c; varying float s, soft;
  void main() {
    vec2 p = mix(a, b, mixed) - centre;
    gl_Position = vec4(p * scale, 0.0, 1.0); gl_PointSize = size; c = color; s = shape; soft = min(0.2, 3.0 / size);
  }`;
// wide: SHAPES of marks.mjs, in the card's language
const FRAGMENT = `
  precision mediump float; varying vec4 c; varying float s, soft;
  float wide(float y) {
    if (s < 0.5) return sqrt(max(0.0, 1.0 - y * y));
    if (s < 1.5) return abs(y) < 0.85 ? 0.85 : 0.0;
    if (s < 2.5) return (1.0 + y) / 2.0;
    if (s < 3.5) return 1.0 - abs(y);
    if (s < 4.5) return (1.0 - y) / 2.0;
    if (s < 5.5) return abs(y) < 0.33 ? 1.0 : 0.33;
    return max(0.2, abs(y));
  }
  void main() {
    vec2 p = gl_PointCoord * 2.0 - 1.0;
    gl_FragColor = vec4(c.rgb, 1.0) * c.a * smoothstep(0.0, soft, wide(p.y) - abs(p.x));
  }`;

export const byCard = (canvas, scene) => {
  const gl = canvas.getContext("webgl", { antialias: false, preserveDrawingBuffer: true });
  const compile = (program, kind, text) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  };
  const filled = (held) => {
    const buffer = gl.createBuffer();
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, held, gl.DYNAMIC_DRAW);
    return buffer;
  };
  let program, maps, color, shape;
  const build = () => {
    program = gl.createProgram();
    compile(program, gl.VERTEX_SHADER, VERTEX);
    compile(program, gl.FRAGMENT_SHADER, FRAGMENT);
    gl.linkProgram(program);
    gl.useProgram(program);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    maps = scene.places.map(filled);
    color = shape = undefined;
  };
  const upload = () => {
    gl.deleteBuffer(color ?? null);
    gl.deleteBuffer(shape ?? null);
    [color, shape] = [filled(scene.colors), filled(scene.shapes)];
  };
  const feed = (name, buffer, count, kind) => {
    const place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, count, kind, true, 0, 0);
  };
  const uniform = (name) => gl.getUniformLocation(program, name);
  const draw = () => {
    const { low, high, t } = between(scene);
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    feed("a", maps[low], 2, gl.UNSIGNED_SHORT);
    feed("b", maps[high], 2, gl.UNSIGNED_SHORT);
    feed("color", color, 4, gl.UNSIGNED_BYTE);
    feed("shape", shape, 1, gl.FLOAT);
    gl.uniform2f(uniform("centre"), scene.x, scene.y);
    gl.uniform2f(uniform("scale"), (2 * side(scene)) / scene.width, (2 * side(scene)) / scene.height);
    gl.uniform1f(uniform("mixed"), t);
    gl.uniform1f(uniform("size"), size(scene) * scene.ratio);
    gl.drawArrays(gl.POINTS, 0, scene.count);
  };
  canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  canvas.addEventListener("webglcontextrestored", () => { build(); upload(); draw(); });
  build();
  return { draw, upload };
};

export const byHand = (canvas, scene) => {
  const pen = canvas.getContext("2d");
  const draw = () => (scene.count <= 3000 ? drawDiscs(canvas, pen, scene) : drawPixels(canvas, pen, scene));
  return { draw, upload: () => {} };
};

// Rows in the order of drawing: the selected ones on top.
function* rows({ count, chosen, some }) {
  for (const round of some ? [0, 1] : [0])
    for (let i = 0; i < count; i++) if (!some || chosen[i] === round) yield i;
}

const drawDiscs = (canvas, pen, scene) => {
  const { ratio, colors } = scene, grow = (size(scene) / 2.2) * ratio;
  const paths = SHAPES.map((_, shape) => {
    const path = new Path2D();
    outline(shape).forEach(([x, y]) => path.lineTo(x, y));
    return path;
  });
  pen.setTransform(1, 0, 0, 1, 0, 0);
  pen.clearRect(0, 0, canvas.width, canvas.height);
  for (const i of rows(scene)) {
    const [x, y] = toScreen(scene, where(scene, i)), [r, g, b, a] = colors.subarray(4 * i, 4 * i + 4);
    pen.fillStyle = `rgb(${r} ${g} ${b} / ${a / 255})`;
    pen.setTransform(grow, 0, 0, grow, x * ratio, y * ratio);
    pen.fill(paths[scene.shapes[i]]);
  }
};

const drawPixels = (canvas, pen, scene) => {
  const wide = canvas.width, high = canvas.height, picture = pen.createImageData(wide, high);
  const pixels = new Uint32Array(picture.data.buffer), packed = new Uint32Array(scene.colors.buffer);
  const r = Math.max(1, Math.round((size(scene) * scene.ratio) / 2.2));
  const spans = SHAPES.map((half) => Array.from({ length: 2 * r + 1 }, (_, y) => Math.round((r + 0.3) * half((y - r) / (r + 0.3)))));
  const { a, b, t } = between(scene), [left, top] = toScreen(scene, [0, 0]).map((v) => v * scene.ratio);
  const grow = (side(scene) / GRID) * scene.ratio;
  for (const i of rows(scene)) {
    const x = Math.round(left + (a[2 * i] + t * (b[2 * i] - a[2 * i])) * grow);
    const y = Math.round(top - (a[2 * i + 1] + t * (b[2 * i + 1] - a[2 * i + 1])) * grow);
    if (x < -r || y < -r || x >= wide + r || y >= high + r) continue;
    const color = packed[i], span = spans[scene.shapes[i]], from = Math.max(0, y - r), to = Math.min(high - 1, y + r);
    for (let row = from; row <= to; row++) {
      const w = span[row - y + r], end = row * wide + Math.min(wide - 1, x + w);
      for (let place = row * wide + Math.max(0, x - w); place <= end; place++) pixels[place] = color;
    }
  }
  pen.putImageData(picture, 0, 0);
};
