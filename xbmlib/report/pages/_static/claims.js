// Sorts the table of claims by a click on a heading, and filters it by verdict, notebook and text.
"use strict";

for (const table of document.querySelectorAll("table.claims")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const words = headings.map((heading) => heading.textContent.trim());
  const rows = [...body.rows].map((row) => {
    const link = row.querySelector("a[href*='notebooks/']");
    [...row.cells].forEach((cell, i) => { cell.dataset.label = words[i]; });
    return {
      row,
      cells: [...row.cells].map((cell) => cell.textContent.trim()),
      verdict: row.cells[0].textContent.replace(/^\S+\s/, "").trim(),
      notebook: link ? link.textContent.trim() : "",
    };
  });

  const select = (name, all, key) => {
    const made = document.createElement("select");
    made.name = name;
    made.add(new Option(all, ""));
    for (const value of new Set(rows.map((row) => row[key]))) made.add(new Option(value, value));
    return made;
  };
  const verdict = select("verdict", "every verdict", "verdict");
  const notebook = select("notebook", "every notebook", "notebook");
  const text = Object.assign(document.createElement("input"),
    { type: "search", name: "text", placeholder: "Filter by words", ariaLabel: "Filter by words" });
  verdict.ariaLabel = "Verdict";
  notebook.ariaLabel = "Notebook";
  const count = document.createElement("output");

  function filter() {
    const wanted = text.value.toLowerCase().split(/\s+/);
    let shown = 0;
    for (const one of rows) {
      const held = one.cells.join(" ").toLowerCase();
      one.row.hidden = (verdict.value && one.verdict !== verdict.value)
        || (notebook.value && one.notebook !== notebook.value)
        || !wanted.every((word) => held.includes(word));
      shown += !one.row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} claims`;
  }

  function sort(column) {
    const down = headings[column].ariaSort === "ascending";
    headings.forEach((heading, i) => {
      heading.ariaSort = i !== column ? "none" : down ? "descending" : "ascending";
    });
    const key = (one) => one.cells[column].toLowerCase();
    const sign = down ? -1 : 1;
    rows.sort((a, b) => (key(a) < key(b) ? -sign : key(a) > key(b) ? sign : 0));
    body.append(...rows.map((one) => one.row));
  }

  headings.forEach((heading, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = words[i];
    button.addEventListener("click", () => sort(i));
    heading.replaceChildren(button);
  });
  const bar = document.createElement("div");
  bar.className = "filters";
  bar.append(verdict, notebook, text, count);
  for (const control of [verdict, notebook, text]) control.addEventListener("input", filter);
  table.closest(".table-wrapper, .claims").before(bar);
  filter();
}
