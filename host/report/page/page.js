"use strict";
// The users' table of a report: search, filter by status and code, sort, turn
// pages. The rows stand in JSON blocks of the page; nothing is ever fetched.
(() => {
  const $ = (id) => document.getElementById(id);
  const el = (tag, props, ...children) => {
    const e = Object.assign(document.createElement(tag), props);
    e.append(...children);
    return e;
  };
  const number = (n) => n.toLocaleString("en-US");
  const statuses = ["done", "failed", "partial", "unknown", "skipped", "pending", "held"];

  // A row is [status, code, cells…]: places in statuses and meta.codes.
  const meta = JSON.parse($("meta").textContent);
  const rows = [];
  for (const block of document.querySelectorAll("script.rows")) {
    for (const row of JSON.parse(block.textContent)) rows.push(row);
    block.remove();
  }
  const statusColumn = meta.columns.indexOf("status");
  const show = (v) => (v === null ? "" : String(v));
  let haystack = null; // lower-case text of each row, made by the first search

  const state = { q: "", status: "", code: "", sort: -1, down: false, page: 0, size: 100 };
  let found = rows;

  // ---- what is shown
  function select() {
    const status = statuses.indexOf(state.status);
    const code = meta.codes.indexOf(state.code);
    const words = state.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !haystack) {
      haystack = new Map(rows.map((row) => [row, row.slice(2).map(show).join("\n").toLowerCase()]));
    }
    found = rows.filter((row) =>
      (status < 0 || row[0] === status) &&
      (state.code === "" || row[1] === code) &&
      words.every((w) => haystack.get(row).includes(w)));
    if (state.sort >= 0) sort();
    state.page = 0;
  }

  function sort() {
    const at = state.sort + 2;
    const collate = found.length <= 20000
      ? new Intl.Collator("en", { numeric: true }).compare
      : (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const sign = state.down ? -1 : 1;
    found = found.slice().sort((x, y) => {
      const a = x[at], b = y[at];
      if (typeof a === "number" && typeof b === "number") return sign * (a - b);
      return sign * collate(show(a), show(b));
    });
  }

  // ---- the table
  const head = $("head"), body = $("body");
  meta.columns.forEach((name, i) => {
    const button = el("button", { type: "button", textContent: name });
    button.addEventListener("click", () => {
      if (state.sort === i && state.down) { state.sort = -1; state.down = false; }
      else { state.down = state.sort === i; state.sort = i; }
      update();
    });
    const th = el("th", { scope: "col" }, button);
    th.setAttribute("role", "columnheader");
    head.append(th);
    $("sort").append(el("option", { value: String(i), textContent: name }));
  });

  function cell(row, i) {
    const v = row[i + 2];
    const td = el("td", {});
    td.setAttribute("role", "cell");
    td.dataset.label = meta.columns[i];
    if (v === null || v === "") td.className = "void";
    if (i === statusColumn && v === statuses[row[0]]) {
      td.className = "st";
      td.append(el("span", { className: "dot s-" + v, textContent: v }));
      return td;
    }
    if (typeof v === "number") td.className = "num";
    td.textContent = show(v);
    return td;
  }

  function draw(from, to) {
    const lines = document.createDocumentFragment();
    for (const row of found.slice(from, to)) {
      const tr = el("tr", {}, ...meta.columns.map((_, i) => cell(row, i)));
      tr.setAttribute("role", "row");
      lines.append(tr);
    }
    body.replaceChildren(lines);
  }

  function page() {
    const from = state.page * state.size;
    const to = Math.min(from + state.size, found.length);
    draw(from, to);
    const part = found.length > state.size ? `${number(from + 1)}–${number(to)} of ` : "";
    const all = found.length === rows.length ? "" : ` of ${number(rows.length)}`;
    $("count").textContent = `${part}${number(found.length)}${part ? "" : all} ${found.length === 1 && !all ? "user" : "users"}${part && all ? `, ${number(rows.length)} in all` : ""}`;
    $("prev").disabled = from === 0;
    $("next").disabled = to >= found.length;
    $("empty").hidden = found.length > 0;
    $("table").hidden = found.length === 0;
  }

  function marks() {
    [...head.children].forEach((th, i) => {
      if (i === state.sort) th.setAttribute("aria-sort", state.down ? "descending" : "ascending");
      else th.removeAttribute("aria-sort");
    });
    $("sort").value = state.sort < 0 ? "" : String(state.sort);
    $("q").value = state.q;
    $("code").value = state.code;
    for (const radio of document.querySelectorAll("input[name=status]")) radio.checked = radio.value === state.status;
  }

  function remember() {
    const p = new URLSearchParams();
    for (const k of ["q", "status", "code"]) if (state[k]) p.set(k, state[k]);
    const hash = "#" + p;
    if (hash !== location.hash && (hash !== "#" || location.hash.includes("="))) location.replace(hash);
  }

  function update() { select(); marks(); page(); remember(); }

  // ---- the controls
  function chips() {
    const counts = statuses.map(() => 0);
    for (const row of rows) counts[row[0]]++;
    const add = (value, text, count, css) => {
      const radio = el("input", { type: "radio", name: "status", value });
      radio.addEventListener("change", () => { state.status = value; state.code = ""; update(); });
      $("chips").append(el("label", { className: css }, radio, el("span", { className: value ? "dot" : "", textContent: text }), el("i", { textContent: number(count) })));
    };
    add("", "all", rows.length, "");
    statuses.forEach((s, i) => { if (counts[i]) add(s, s, counts[i], "s-" + s); });
  }

  function codes() {
    const counts = meta.codes.map(() => 0);
    for (const row of rows) counts[row[1]]++;
    const named = meta.codes.map((c, i) => [c, counts[i]]).filter(([c]) => c !== "").sort((a, b) => b[1] - a[1]);
    for (const [c, n] of named) $("code").append(el("option", { value: c, textContent: `${c} (${number(n)})` }));
    $("codes").hidden = named.length === 0;
  }

  function later(f) { // after the last key stroke
    let timer = 0;
    return () => { clearTimeout(timer); timer = setTimeout(f, rows.length > 20000 ? 180 : 60); };
  }

  function turn(by) {
    state.page += by;
    page();
    $("users").scrollIntoView({ block: "start" });
    $("caption").focus({ preventScroll: true });
  }

  function clear() { Object.assign(state, { q: "", status: "", code: "" }); update(); $("q").focus(); }

  async function copy(button) {
    const code = button.closest("li").querySelector(".cmd");
    const was = button.textContent;
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = was; }, 1500);
  }

  const typed = later(() => { state.q = $("q").value; update(); });
  $("q").addEventListener("input", typed);
  $("code").addEventListener("change", () => { state.code = $("code").value; update(); });
  $("sort").addEventListener("change", () => { state.sort = $("sort").value === "" ? -1 : Number($("sort").value); state.down = false; update(); });
  $("size").addEventListener("change", () => { state.size = Number($("size").value); state.page = 0; page(); });
  $("prev").addEventListener("click", () => turn(-1));
  $("next").addEventListener("click", () => turn(1));
  $("clear").addEventListener("click", clear);
  for (const b of document.querySelectorAll("button.show")) {
    b.addEventListener("click", () => {
      Object.assign(state, { q: "", status: b.dataset.status, code: b.dataset.code });
      update();
      $("users").scrollIntoView({ block: "start" });
      $("caption").focus({ preventScroll: true });
    });
  }
  for (const b of document.querySelectorAll("button.copy")) b.addEventListener("click", () => copy(b));
  addEventListener("keydown", (e) => {
    if (e.key === "/" && !/INPUT|SELECT|TEXTAREA/.test(e.target.tagName)) { e.preventDefault(); $("q").focus(); }
  });
  // Paper gets what the filters leave, up to a limit that a printer bears.
  addEventListener("beforeprint", () => draw(0, Math.min(found.length, 5000)));
  addEventListener("afterprint", page);

  const wanted = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
  for (const k of ["q", "status", "code"]) state[k] = wanted.get(k) || "";
  chips();
  codes();
  for (const e of document.querySelectorAll(".js")) e.hidden = false;
  update();
})();
