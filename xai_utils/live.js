// A live picture in the browser. It asks the kernel for a frame and waits for it before it asks
// again, with the newest state: so however fast the pen, one question at most is on its way.

const INK = 1.6; // a stroke is as wide as a digit's: ink 1 up to 0.6 pixels from its middle, 0 from 1.6
const PATIENCE = 3000; // milliseconds without an answer until the reader is told

function add(parent, tag, facts = {}, text = "") {
  const node = document.createElement(tag);
  // JupyterLab, which has plans of its own for arrows and space, looks for this on what has focus.
  node.setAttribute("data-lm-suppress-shortcuts", "true");
  for (const [name, value] of Object.entries(facts)) node.setAttribute(name, value);
  node.textContent = text;
  parent.append(node);
  return node;
}

function paint(canvas, width, height, buffer) {
  const bytes = new Uint8ClampedArray(buffer.buffer ?? buffer, buffer.byteOffset ?? 0, 4 * width * height);
  canvas.width = width;
  canvas.height = height;
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(bytes), width, height), 0, 0);
}

// Where a pointer is on a canvas, in its pixels.
function spot(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const x = ((event.clientX - box.left - canvas.clientLeft) * canvas.width) / canvas.clientWidth;
  const y = ((event.clientY - box.top - canvas.clientTop) * canvas.height) / canvas.clientHeight;
  return [x, y];
}

// The page that one draws on: pointer, or arrow keys with the space bar for the pen.
function drawingPage(outer, spec, tell, changed) {
  const { width, height } = spec.page;
  const root = add(outer, "div", { class: "drawing" });
  const ink = new Float32Array(width * height);
  const label = "Drawing page. Draw with the mouse or a finger; or move by the arrow keys, and press "
    + "space to set the pen down or to lift it.";
  const canvas = add(root, "canvas", { class: "page", width, height, tabindex: 0, role: "application", "aria-label": label, title: label });
  let at = null, down = false, keys = [width / 2, height / 2], cursor = false;

  function show() {
    const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
    const [left, top] = [width / 7, height / 7].map(Math.round); // MNIST's box: 20 of 28 pixels
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const inside = x >= left && x < width - left && y >= top && y < height - top;
      const grey = Math.max(255 * ink[y * width + x], inside ? 0 : 28);
      rgba.fill(grey, 4 * (y * width + x), 4 * (y * width + x) + 3);
    }
    if (cursor) {
      const k = 4 * (Math.floor(keys[1]) * width + Math.floor(keys[0]));
      rgba.set(down ? [230, 159, 0] : [86, 180, 233], k);
    }
    canvas.getContext("2d").putImageData(new ImageData(rgba, width, height), 0, 0);
  }

  function stroke([x0, y0], [x1, y1]) {
    const length2 = (x1 - x0) ** 2 + (y1 - y0) ** 2;
    for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
      const [px, py] = [x + 0.5 - x0, y + 0.5 - y0];
      const t = length2 ? Math.min(1, Math.max(0, (px * (x1 - x0) + py * (y1 - y0)) / length2)) : 0;
      const distance = Math.hypot(px - t * (x1 - x0), py - t * (y1 - y0));
      ink[y * width + x] = Math.max(ink[y * width + x], Math.min(1, Math.max(0, INK - distance)));
    }
    show();
    changed();
  }

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    at = spot(canvas, event);
    stroke(at, at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (at === null) return;
    const next = spot(canvas, event);
    stroke(at, next);
    at = next;
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { at = null; });

  const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("focus", () => { cursor = canvas.matches(":focus-visible"); show(); });
  canvas.addEventListener("blur", () => { cursor = down = false; show(); });
  canvas.addEventListener("keydown", (event) => {
    const step = STEPS[event.key];
    if (!step && event.key !== " ") return;
    event.preventDefault();
    cursor = true;
    const from = [...keys];
    if (step) keys = [[0, width], [1, height]].map(([k, most]) => Math.min(most - 0.5, Math.max(0.5, keys[k] + step[k])));
    else { down = !down; tell(down ? "Pen down." : "Pen lifted."); }
    if (down) stroke(from, keys);
    show();
  });

  const buttons = add(root, "div", { class: "controls", role: "group", "aria-label": "Pages to begin with" });
  const start = (values) => { ink.set(values.map((value) => value / 255)); show(); changed(); };
  const clear = add(buttons, "button", { type: "button" }, "Clear");
  clear.addEventListener("click", () => start(new Array(width * height).fill(0)));
  for (const page of spec.pages) {
    const button = add(buttons, "button", { type: "button" }, page.name);
    button.addEventListener("click", () => start(page.ink));
  }
  ink.set(spec.pages[0].ink.map((value) => value / 255));
  show();
  return () => Uint8Array.from(ink, (value) => Math.round(255 * value)).buffer;
}

// Sliders, choices and tick boxes; each is also set from outside, by `set`.
function controlRow(root, spec, values, changed) {
  const set = {};
  if (!spec.controls.length) return set;
  const row = add(root, "div", { class: "controls", role: "group", "aria-label": "Settings" });
  for (const control of spec.controls) {
    const { name, kind } = control;
    values[name] = control.value;
    const label = add(row, "label");
    add(label, "span", {}, control.label);
    const input = add(label, kind === "choice" ? "select" : "input");
    for (const option of control.options) add(input, "option", {}, option);
    const said = kind === "slider" ? add(label, "output") : null;
    if (kind === "tick") Object.assign(input, { type: "checkbox", checked: control.value });
    if (kind === "slider") Object.assign(input, { type: "range", min: control.low, max: control.high, step: control.step });
    if (kind !== "tick") input.value = control.value;
    if (said) said.textContent = input.value;
    const take = () => {
      values[name] = kind === "tick" ? input.checked : kind === "slider" ? Number(input.value) : input.value;
      if (said) said.textContent = input.value;
      changed();
    };
    input.addEventListener("input", take);
    set[name] = (value) => { input.value = value; take(); };
  }
  return set;
}

function showBars(list, bars) {
  const all = [0, ...bars.values, ...bars.before];
  const low = Math.min(...all), room = Math.max(...all) - low || 1;
  const percent = (value) => (100 * (value - low)) / room;
  list.replaceChildren();
  list.setAttribute("aria-label", bars.label);
  bars.values.forEach((value, k) => {
    const item = add(list, "li");
    const bar = add(item, "span", { class: "bar" });
    bar.style.left = `${percent(Math.min(0, value))}%`;
    bar.style.width = `${percent(Math.max(0, value)) - percent(Math.min(0, value))}%`;
    if (bars.before.length) add(item, "span", { class: "before" }).style.left = `${percent(bars.before[k])}%`;
    add(item, "span", {}, bars.names[k]);
    const change = bars.before.length ? ` (${value >= bars.before[k] ? "+" : ""}${(value - bars.before[k]).toFixed(2)})` : "";
    add(item, "span", {}, value.toFixed(2) + change);
  });
}

function showPanels(box, frame, buffers, prepare) {
  let next = 0;
  frame.panels.forEach((panel, k) => {
    let figure = box.children[k];
    if (!figure) {
      figure = add(box, "figure", panel.width > 64 ? { class: "large" } : {});
      const canvas = add(figure, "canvas", { role: "img" });
      add(figure, "canvas", { class: "strip", "aria-hidden": "true" });
      add(figure, "div", { class: "ends" });
      add(figure, "figcaption");
      if (k === 0) prepare(canvas);
    }
    const [canvas, strip, ends, caption] = figure.children;
    paint(canvas, panel.width, panel.height, buffers[next++]);
    canvas.setAttribute("aria-label", panel.alt);
    const { scale } = panel;
    strip.hidden = ends.hidden = !scale;
    strip.style.display = ends.style.display = scale ? "" : "none";
    ends.replaceChildren();
    if (scale) {
      paint(strip, frame.strip, 1, buffers[next++]);
      for (const text of [scale.ends[0], scale.note || scale.label, scale.ends[1]]) add(ends, "span", {}, text);
    }
    caption.textContent = panel.title;
  });
}

function render({ model, el }) {
  const spec = model.get("spec");
  const view = `${Date.now()}-${Math.random()}`; // an answer belongs to one view
  const root = add(el, "section", {
    class: "xai-live",
    "aria-label": spec.title,
  });
  const values = {};
  let number = 0, waiting = false, again = false, started = 0, patience;
  let ink = () => null;

  add(root, "h4", {}, spec.title);
  const words = document.createElement("p"), time = document.createElement("p");
  const tell = (text) => { words.textContent = text; };

  function ask() {
    if (waiting) { again = true; return; }
    waiting = true;
    again = false;
    number += 1;
    started = performance.now();
    patience = setTimeout(() => tell("No answer yet: the kernel is busy, or was restarted. Then run the cell again."), PATIENCE);
    const page = ink();
    model.send({ view, number, values }, undefined, page ? [page] : []);
  }

  function hear(frame, buffers) {
    if (frame.view !== view) return;
    clearTimeout(patience);
    waiting = false;
    if (frame.error) tell(`This did not work: ${frame.error}`);
    else {
      if (frame.bars) showBars(bars, frame.bars);
      bars.style.display = frame.bars ? "" : "none";
      showPanels(panels, frame, buffers, follow);
      tell(frame.words);
    }
    const milliseconds = Math.round(performance.now() - started);
    time.textContent = `Answer ${frame.number} took ${milliseconds} ms, there and back.`;
    Object.assign(root.dataset, { answer: frame.number, milliseconds, waiting: again });
    if (again) ask();
  }

  // On the first panel the pointer moves what two sliders move.
  function follow(canvas) {
    if (!spec.places.length) return;
    canvas.classList.add("place");
    let held = false;
    const move = (event) => {
      const [x, y] = spot(canvas, event);
      set[spec.places[0]](Math.min(canvas.height - 1, Math.max(0, Math.floor(y))));
      set[spec.places[1]](Math.min(canvas.width - 1, Math.max(0, Math.floor(x))));
    };
    canvas.addEventListener("pointerdown", (event) => { held = true; canvas.setPointerCapture(event.pointerId); move(event); });
    canvas.addEventListener("pointermove", (event) => { if (held) move(event); });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { held = false; });
  }

  const set = controlRow(root, spec, values, ask);
  if (spec.page) ink = drawingPage(root, spec, tell, ask);
  const bars = add(root, "ul", { class: "bars" });
  const panels = add(root, "div", { class: "panels" });
  words.className = "words";
  words.setAttribute("aria-live", "polite");
  time.className = "time";
  root.append(words, time);
  model.on("msg:custom", hear);
  ask();
  return () => model.off("msg:custom", hear);
}

export default { render };
