"use strict";
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// Sorting: every line of a table is a tbody, so that a line and what it opens to move together.
function valueOf(body, column) {
  const cell = body.rows[0].cells[column];
  const value = cell.dataset.value;
  if (value === undefined) return cell.textContent.trim().toLowerCase();
  return value === "" ? null : Number(value);
}

function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(button) {
  const head = button.closest("th"), table = head.closest("table"), now = head.getAttribute("aria-sort");
  const other = { ascending: "descending", descending: "ascending" };
  const order = now === "none" ? button.dataset.first : other[now];
  for (const one of all("thead th", table)) one.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1, column = head.cellIndex;
  const bodies = [...table.tBodies].filter((body) => !("pinned" in body.dataset));
  const keyed = bodies.map((body) => [valueOf(body, column), body]);
  keyed.sort((a, b) => compare(a[0], b[0], sign));
  table.append(...keyed.map(([, body]) => body));
}

// Opening a line.
function toggle(button) {
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  document.getElementById(button.getAttribute("aria-controls")).hidden = open;
}

// Filters: the first ones are about whole boards, the backbone about lines.
function filter() {
  const wanted = {};
  for (const select of all("[data-filter]")) wanted[select.dataset.filter] = select.value;
  let shown = 0, total = 0;
  for (const board of all(".board")) {
    const fits = ["dataset", "protocol", "task", "source"].every(
      (key) => !wanted[key] || JSON.parse(board.dataset[key]).includes(wanted[key]));
    for (const part of all("[data-backbone]", board)) {
      part.classList.toggle("off", Boolean(wanted.backbone) && part.dataset.backbone !== wanted.backbone);
    }
    const lines = [...board.querySelector("table").tBodies].filter((body) => "backbone" in body.dataset);
    const left = lines.filter((body) => !body.classList.contains("off"));
    total += lines.length;
    const gone = !fits || left.length === 0;
    if (!gone) shown += left.length;
    board.classList.toggle("off", gone);
    for (const link of all("nav [data-of]")) {
      if (link.dataset.of === board.id) link.classList.toggle("off", gone);
    }
  }
  document.getElementById("count").textContent =
    shown ? `${shown} of ${total} results shown.` : `None of ${total} results fits these filters.`;
}

for (const button of all(".sort")) button.addEventListener("click", () => sortBy(button));
for (const button of all(".open")) button.addEventListener("click", () => toggle(button));
for (const select of all("[data-filter]")) select.addEventListener("change", filter);
document.getElementById("reset").addEventListener("click", () => {
  for (const select of all("[data-filter]")) select.value = "";
  filter();
});
filter();

// Pairs.
const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes, space) {
  const made = space ? document.createElementNS(space, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

// One colour a keypoint; after seven keypoints they come again with another shape.
function colour(keypoint) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--k${keypoint % 7}`).trim();
}

function markOf(keypoint, [x, y], r, attributes) {
  const shape = Math.floor(keypoint / 7) % 3;
  const where = [`M${x - r},${y} a${r},${r} 0 1,0 ${2 * r},0 a${r},${r} 0 1,0 ${-2 * r},0`,
    `M${x - r},${y - r} h${2 * r} v${2 * r} h${-2 * r} z`,
    `M${x},${y - 1.2 * r} L${x + 1.2 * r},${y + r} L${x - 1.2 * r},${y + r} z`][shape];
  return element("path", { d: where, ...attributes }, SVG);
}

function picture(of, label) {
  const svg = element("svg", { viewBox: `-0.5 -0.5 ${of.width} ${of.height}`, role: "img", "aria-label": label }, SVG);
  svg.append(element("image", { href: of.uri, x: -0.5, y: -0.5, width: of.width, height: of.height }, SVG));
  return svg;
}

function titled(mark, text) {
  const title = element("title", {}, SVG);
  title.textContent = text;
  mark.append(title);
  return mark;
}

function dots(svg, pair, points, r) {
  points.forEach((point, k) => {
    if (point === null) return;
    const key = pair.keypoints[k];
    svg.append(titled(markOf(key, point, r, { fill: colour(key), stroke: "#fff", "stroke-width": r / 4 }), pair.names[k]));
  });
}

function rings(svg, pair, r) {
  pair.target.points.forEach((point, k) => {
    if (point === null) return;
    const key = pair.keypoints[k];
    for (const [stroke, width] of [["#fff", r * 0.8], [colour(key), r * 0.4]]) {
      svg.append(titled(markOf(key, point, 1.6 * r, { fill: "none", stroke, "stroke-width": width }), pair.names[k]));
    }
  });
}

function errors(svg, pair, points, r) {
  points.forEach((point, k) => {
    const true_ = pair.target.points[k];
    if (point === null || true_ === null) return;
    const ends = { x1: true_[0], y1: true_[1], x2: point[0], y2: point[1] };
    for (const [stroke, width] of [["#fff", r * 0.7], [colour(pair.keypoints[k]), r * 0.35]]) {
      svg.append(element("line", { ...ends, stroke, "stroke-width": width }, SVG));
    }
  });
}

function framed(svg, title, told) {
  const figure = element("figure", {}), caption = element("figcaption", {}), name = element("strong", {});
  name.textContent = title;
  caption.append(name, told ? ` ${told}` : "");
  figure.append(svg, caption);
  return figure;
}

function draw(gallery) {
  const pair = gallery.pairs[Number(document.getElementById("pair").value)];
  const withErrors = document.getElementById("errors").checked, withWarps = document.getElementById("warps").checked;
  const size = (of) => 0.022 * Math.max(of.width, of.height);
  const source = picture(pair.source, `source of ${pair.title}`), target = picture(pair.target, `target of ${pair.title}`);
  dots(source, pair, pair.source.points, size(pair.source));
  rings(target, pair, size(pair.target));
  const figures = [framed(source, "source"), framed(target, "target", "annotated")];
  for (const box of all("#methods input:checked")) {
    const said = pair.said[Number(box.value)], name = gallery.methods[Number(box.value)], r = size(pair.target);
    const svg = picture(pair.target, `${name} on ${pair.title}`);
    if (withErrors) { rings(svg, pair, r); errors(svg, pair, said.points, r); }
    dots(svg, pair, said.points, r);
    const told = said.error === null ? "no error known" : `error ${(100 * said.error).toFixed(1)} % of the box`;
    const figure = framed(svg, name, told);
    if (withWarps && said.warp) {
      figure.insertBefore(element("img", { src: said.warp, class: "warp", alt: `target of ${pair.title} as ${name} warps it onto the source` }), figure.lastChild);
    } else if (withWarps) {
      figure.lastChild.append(", no warp stored");
    }
    figures.push(figure);
  }
  document.getElementById("shown").replaceChildren(...figures);
}

const stored = document.getElementById("gallery");
if (stored) {
  const gallery = JSON.parse(stored.textContent), choice = document.getElementById("pair");
  const step = (by) => {
    const count = gallery.pairs.length;
    choice.value = String((Number(choice.value) + by + count) % count);
    draw(gallery);
  };
  document.getElementById("previous").addEventListener("click", () => step(-1));
  document.getElementById("next").addEventListener("click", () => step(1));
  for (const input of all("#pair, #errors, #warps, #methods input")) input.addEventListener("change", () => draw(gallery));
  draw(gallery);
}
