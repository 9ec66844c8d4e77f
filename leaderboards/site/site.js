/* Sorting, filtering and the theme. Without this script every table is there, in its first order.

   No markup is ever made from text here: only attributes, text and the order of what is there. */
"use strict";

(() => {
  // ---- Theme

  const THEME = "clir-bench-theme";
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  function stored() {
    try {
      return window.localStorage.getItem(THEME);
    } catch {
      return null; // storage is off: the theme then lasts as long as the page
    }
  }

  function store(theme) {
    try {
      window.localStorage.setItem(THEME, theme);
    } catch {
      return;
    }
  }

  function isDark() {
    return root.dataset.theme === "dark" || (root.dataset.theme !== "light" && dark.matches);
  }

  // Before the body is there, so that a page never flashes in the other theme.
  const remembered = stored();
  if (remembered === "dark" || remembered === "light") root.dataset.theme = remembered;

  function setUpTheme() {
    const button = document.getElementById("theme");
    const show = () => button.setAttribute("aria-pressed", String(isDark()));
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      store(root.dataset.theme);
      show();
    });
    dark.addEventListener("change", show);
    show();
  }

  // ---- Sorting

  const headers = (table) => [...table.tHead.rows[0].cells];
  const bodyRows = (table) => [...table.tBodies[0].rows];
  const firstPlace = new WeakMap(); // row to its place as the page was written
  const firstSort = new WeakMap(); // header to its aria-sort as the page was written

  function say(text) {
    document.getElementById("said").textContent = text;
  }

  function order(one, other, numeric) {
    if (numeric) return Number(one) - Number(other);
    if (one === other) return 0;
    return one < other ? -1 : 1;
  }

  function sortBy(table, header, direction) {
    const column = headers(table).indexOf(header);
    const numeric = header.dataset.sort === "number";
    const sign = direction === "ascending" ? 1 : -1;
    const keyed = bodyRows(table).map((row) => [row.cells[column].dataset.value, row]);
    keyed.sort(([one, rowOne], [other, rowOther]) => {
      const before = firstPlace.get(rowOne) - firstPlace.get(rowOther);
      // What has no value comes last, whichever way the rest is turned.
      if (one === undefined || other === undefined) {
        return Number(one === undefined) - Number(other === undefined) || before;
      }
      return sign * order(one, other, numeric) || before;
    });
    table.tBodies[0].append(...keyed.map(([, row]) => row));
    for (const cell of headers(table)) cell.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", direction);
  }

  function restoreOrder(table) {
    const rows = bodyRows(table).sort((a, b) => firstPlace.get(a) - firstPlace.get(b));
    table.tBodies[0].append(...rows);
    for (const cell of headers(table)) {
      if (firstSort.has(cell)) cell.setAttribute("aria-sort", firstSort.get(cell));
      else cell.removeAttribute("aria-sort");
    }
  }

  function setUpSorting(table) {
    bodyRows(table).forEach((row, place) => firstPlace.set(row, place));
    for (const header of headers(table)) {
      if (!header.dataset.sort) continue;
      const now = header.getAttribute("aria-sort");
      if (now) firstSort.set(header, now);
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const first = header.dataset.first;
        const other = first === "ascending" ? "descending" : "ascending";
        const direction = header.getAttribute("aria-sort") === first ? other : first;
        sortBy(table, header, direction);
        say(`Sorted by ${button.textContent}, ${direction}.`);
      });
    }
  }

  // ---- Filtering

  const scores = new WeakMap(); // row to its scores by language: mean and 95% interval

  function scoresOf(row) {
    if (!scores.has(row)) {
      const parts = row.dataset.scores.split(" ").filter(Boolean);
      scores.set(row, new Map(parts.map((part) => {
        const [language, mean, low, high] = part.split(":");
        return [language, { mean, low, high }];
      })));
    }
    return scores.get(row);
  }

  // An element is shown unless it says something of itself that is not what is wanted.
  function isWanted(item, wanted) {
    const { kind, task, tier, language, name, scores: has } = item.dataset;
    const differs = (own, want) => want !== "" && own !== undefined && own !== want;
    if (differs(kind, wanted.kind) || differs(task, wanted.task)) return false;
    if (differs(tier, wanted.tier) || differs(language, wanted.language)) return false;
    if (wanted.name !== "" && name !== undefined && !name.toLowerCase().includes(wanted.name)) {
      return false;
    }
    return wanted.language === "" || has === undefined || scoresOf(item).has(wanted.language);
  }

  function showColumn(table, place, shown) {
    for (const row of table.rows) row.cells[place].hidden = !shown;
  }

  function made(tag, css = "", ...children) {
    const element = document.createElement(tag);
    if (css) element.className = css;
    element.append(...children);
    return element;
  }

  function showScore(cell, score) {
    if (score === undefined) cell.replaceChildren("–");
    else cell.replaceChildren(score.mean, " ", made("span", "interval", `${score.low} to ${score.high}`));
  }

  function showLanguage(table, place, wanted) {
    const header = headers(table)[place];
    (header.querySelector("button") ?? header).textContent = wanted.languageName;
    for (const row of bodyRows(table)) {
      const cell = row.cells[place];
      const score = scoresOf(row).get(wanted.language);
      showScore(cell, score);
      if (score === undefined) delete cell.dataset.value;
      else cell.dataset.value = score.mean;
    }
  }

  function filterTable(table, wanted, resort) {
    let toSort = null;
    headers(table).forEach((header, place) => {
      const { tierColumn, languageColumn } = header.dataset;
      if (languageColumn !== undefined) {
        if (wanted.language !== "") {
          showLanguage(table, place, wanted);
          toSort = header;
        }
        showColumn(table, place, wanted.language !== "");
      } else if (tierColumn !== undefined) {
        showColumn(table, place, wanted.tier === "" || wanted.tier === tierColumn);
        if (wanted.tier === tierColumn) toSort ??= header;
      } else if (header.dataset.kind !== undefined) {
        showColumn(table, place, isWanted(header, wanted));
      }
    });
    let n = 0;
    for (const row of bodyRows(table)) {
      row.hidden = !isWanted(row, wanted);
      n += Number(!row.hidden);
    }
    const box = table.closest(".scroll");
    if (box.nextElementSibling?.classList.contains("empty")) {
      box.nextElementSibling.hidden = n > 0;
      box.hidden = n === 0;
    }
    if (resort && toSort) sortBy(table, toSort, "descending");
    else if (resort) restoreOrder(table);
  }

  function count(items, one, many) {
    const known = new Set();
    const shown = new Set();
    for (const [key, item] of items) {
      known.add(key);
      if (!item.closest("[hidden]")) shown.add(key);
    }
    return known.size ? `${shown.size} of ${known.size} ${known.size === 1 ? one : many}` : "";
  }

  function summary() {
    const rows = [...document.querySelectorAll("tbody tr")];
    const key = (row, field) => [row.dataset[field], row];
    const systems = rows.filter((row) => row.dataset.scores !== undefined);
    const languages = rows.filter((row) => row.dataset.language !== undefined);
    return [
      count(systems.map((row) => key(row, "name")), "system", "systems"),
      count(languages.map((row) => key(row, "language")), "language", "languages"),
    ].filter(Boolean).join(", ");
  }

  function wantedOf(form) {
    const value = (name) => form.elements.namedItem(name)?.value ?? "";
    const language = form.elements.namedItem("language");
    return {
      kind: value("kind"),
      task: value("task"),
      tier: value("tier"),
      language: value("language"),
      languageName: language ? language.selectedOptions[0].textContent : "",
      name: value("name").trim().toLowerCase(),
    };
  }

  function setUpFilters(form) {
    const tables = [...document.querySelectorAll("main .scroll table")];
    const apply = (resort) => {
      const wanted = wantedOf(form);
      for (const item of document.querySelectorAll("section[data-task], .point")) {
        item.toggleAttribute("hidden", !isWanted(item, wanted));
      }
      for (const table of tables) filterTable(table, wanted, resort);
      document.getElementById("status").textContent = `Showing ${summary()}.`;
    };
    let waiting = 0;
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", (event) => apply(["tier", "language"].includes(event.target.name)));
    form.addEventListener("input", (event) => {
      if (event.target.name !== "name") return;
      // A screen reader should hear of the result, not of every letter.
      window.clearTimeout(waiting);
      waiting = window.setTimeout(() => apply(false), 200);
    });
    form.addEventListener("reset", () => window.setTimeout(() => apply(true), 0));
    apply(false);
  }

  // ---- Which system for my language?

  const N_FIRST = 5;

  // One table per task: the systems by their mean in the language, the highest first.
  function answer(rows, language) {
    const [first] = rows;
    const task = first.cells[3].firstElementChild.cloneNode(true);
    const measure = first.cells[4].textContent;
    const table = made("table");
    const caption = table.createCaption();
    caption.append(made("h3", "", task), " ", made("span", "quiet", measure));
    const body = table.createTBody();
    rows.slice(0, N_FIRST).forEach((row) => {
      const line = body.insertRow();
      const head = made("th", "", ...[...row.cells[0].childNodes].map((node) => node.cloneNode(true)));
      head.scope = "row";
      line.append(head);
      const cell = made("td", "number");
      showScore(cell, scoresOf(row).get(language));
      line.append(cell, made("td", "", made("span", "tag", row.dataset.kind)));
    });
    if (rows.length > N_FIRST) {
      const cell = body.insertRow().insertCell();
      cell.colSpan = 3;
      cell.className = "quiet";
      cell.textContent = `and ${rows.length - N_FIRST} more systems on the board`;
    }
    return made("div", "answer", table);
  }

  function setUpFinder(form) {
    const rows = [...document.querySelectorAll("main tr[data-scores]")];
    const find = () => {
      const { language, kind } = form.elements;
      const tasks = new Map();
      for (const row of rows) {
        const wanted = kind.value === "" || row.dataset.kind === kind.value;
        if (!wanted || !scoresOf(row).has(language.value)) continue;
        tasks.set(row.dataset.task, [...(tasks.get(row.dataset.task) ?? []), row]);
      }
      const mean = (row) => Number(scoresOf(row).get(language.value).mean);
      const found = [...tasks.values()].map((some) => [...some].sort((a, b) => mean(b) - mean(a)));
      document.getElementById("answers").replaceChildren(
        ...found.map((some) => answer(some, language.value)));
      const name = language.selectedOptions[0].textContent;
      const many = `${found.length} ${found.length === 1 ? "task" : "tasks"}`;
      document.getElementById("found").textContent = language.value === ""
        ? "The systems are then ranked for it, task by task."
        : `${name}, ${many}: mean in this language alone, its 95% interval below. Where intervals overlap, the order may be chance.`;
    };
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", find);
    find();
  }

  document.addEventListener("DOMContentLoaded", () => {
    setUpTheme();
    for (const table of document.querySelectorAll("main .scroll table")) setUpSorting(table);
    const finder = document.getElementById("finder");
    if (finder) setUpFinder(finder);
    const form = document.getElementById("filters");
    if (form) setUpFilters(form);
  });
})();
