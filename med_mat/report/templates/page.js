"use strict";
(() => {
  const root = document.documentElement;
  const form = document.getElementById("filters");
  const list = document.getElementById("list");
  const sources = [...list.children];
  const cells = [...document.querySelectorAll(".matrix button")];
  const AXES = ["modality", "anatomy", "task", "kind", "right", "state"];
  const plural = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;
  const short = (value) => {
    if (value < 1000) return String(value);
    const [scaled, unit] = value < 999500 ? [value / 1000, "k"] : [value / 1e6, "M"];
    return (scaled < 9.95 ? scaled.toFixed(1) : scaled.toFixed(0)) + unit;
  };

  const fits = (source, wanted, words, but) =>
    words.every((word) => source.dataset.text.includes(word)) &&
    AXES.every((axis) => but.includes(axis) || !wanted[axis] || source.dataset[axis] === wanted[axis]);

  const filter = () => {
    const wanted = Object.fromEntries(new FormData(form));
    const words = wanted.q.toLowerCase().split(/\s+/).filter(Boolean);
    const compare =
      wanted.order === "slug"
        ? (a, b) => a.id.localeCompare(b.id, "en")
        : wanted.order === "rows"
          ? (a, b) => b.dataset.rows - a.dataset.rows || a.dataset.number - b.dataset.number
          : (a, b) => a.dataset.number - b.dataset.number;
    if (list.dataset.order !== wanted.order) {
      list.append(...sources.sort(compare));
      list.dataset.order = wanted.order;
    }
    let found = 0;
    let rows = 0;
    for (const source of sources) {
      source.hidden = !fits(source, wanted, words, []);
      found += !source.hidden;
      rows += source.hidden ? 0 : +source.dataset.rows;
    }
    document.getElementById("found").textContent = `${plural(found, "source")}, ${plural(rows, "picture")}`;
    document.getElementById("none").hidden = found > 0;
    count(wanted, words);
  };

  // A cell counts what a click on it would show, under all other filters.
  const count = (wanted, words) => {
    const held = { anatomy: ["modality", "anatomy"], task: ["modality", "task"], "": ["modality"] };
    const totals = new Map(cells.map((cell) => [cell, [0, 0, 0]]));
    const places = new Map();
    for (const cell of cells) {
      const place = [cell.dataset.axis, cell.dataset.word, cell.dataset.modality].join("\n");
      places.set(place, [...(places.get(place) ?? []), cell]);
    }
    for (const axis of Object.keys(held)) {
      for (const source of sources) {
        if (!fits(source, wanted, words, held[axis])) continue;
        for (const modality of [source.dataset.modality, ""]) {
          for (const cell of places.get([axis, axis && source.dataset[axis], modality].join("\n")) ?? []) {
            const total = totals.get(cell);
            total[0] += 1;
            total[1] += source.dataset.state === "built";
            total[2] += +source.dataset.rows;
          }
        }
      }
    }
    for (const [cell, [all, built, rows]] of totals) {
      const { axis, word, modality } = cell.dataset;
      cell.firstChild.textContent = built;
      cell.lastChild.textContent = short(rows);
      cell.title = `${built} of ${all} sources built, ${plural(rows, "picture")}`;
      cell.style.setProperty("--heat", Math.sqrt(built / (axis && modality ? 12 : 36)));
      cell.classList.toggle("open", !built);
      cell.classList.toggle("zero", !all);
      const chosen = wanted.modality === modality && (axis ? wanted[axis] === word : !wanted.anatomy && !wanted.task);
      cell.setAttribute("aria-pressed", chosen && Boolean(wanted.modality || (axis && wanted[axis])));
    }
  };

  const choose = (cell) => {
    const { axis, word, modality } = cell.dataset;
    const undo = cell.getAttribute("aria-pressed") === "true";
    form.elements.modality.value = undo ? "" : modality;
    if (axis) form.elements[axis].value = undo ? "" : word;
    filter();
  };

  const reveal = () => {
    const source = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!source || !source.classList.contains("source")) return;
    if (source.hidden) {
      form.reset();
      filter();
    }
    source.open = true;
    source.scrollIntoView();
  };

  root.classList.add("scripted");
  form.addEventListener("input", filter);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(filter));
  for (const cell of cells) cell.addEventListener("click", () => choose(cell));
  list.addEventListener("change", (event) => {
    if (event.target.closest(".toggle")) event.target.closest(".samples").classList.toggle("plain", !event.target.checked);
  });
  window.addEventListener("hashchange", reveal);
  filter();
  reveal();
})();
