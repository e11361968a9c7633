// Lists the queries of RETRIEVALS (retrievals.js) and shows the images retrieved for the chosen one.
"use strict";

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function explore(set) {
  const img = (place, alt) => element("img", { src: set.images[place], alt });
  const result = element("div", { className: "result" });
  result.setAttribute("aria-live", "polite");
  const list = element("fieldset", { className: "queries" });
  const kinds = element("select", {}, ...set.kinds.map((kind) => {
    const n = set.queries.filter((query) => query.kind === kind).length;
    return element("option", { value: kind, disabled: !n }, `${kind} (${n})`);
  }));

  function item({ image: place, label, similarity, correct }, i) {
    const word = correct ? "correct" : "incorrect";
    return element("li", { className: word },
      img(place, `Number ${i + 1}: class ${label}`),
      element("span", { className: `badge ${word}` }, `${correct ? "✓" : "✗"} ${word}`),
      element("span", {}, `class ${label}`),
      element("span", {}, similarity.toFixed(3)));
  }

  function show(query) {
    result.replaceChildren(
      element("figure", {},
        img(query.image, `Query: class ${query.label}`),
        element("figcaption", {}, `query ${query.query}, class ${query.label}`)),
      ...Object.entries(query.retrieved).map(([arm, images]) => element("section", {},
        element("h3", {}, arm),
        element("ol", {}, ...images.map(item)))));
  }

  // Radio buttons: one stop of the Tab key, arrows from query to query.
  function choose(kind) {
    const queries = set.queries.filter((query) => query.kind === kind);
    list.replaceChildren(element("legend", {}, "Queries"), ...queries.map((query, i) => {
      const radio = element("input", { type: "radio", name: set.data, checked: i === 0 });
      radio.addEventListener("change", () => show(query));
      return element("label", { title: `query ${query.query}` }, radio,
        img(query.image, `Query ${query.query}, class ${query.label}`));
    }));
    show(queries[0]);
  }

  kinds.value = set.kinds.find((kind) => set.queries.some((query) => query.kind === kind));
  kinds.addEventListener("change", () => choose(kinds.value));
  choose(kinds.value);
  return element("section", { className: "explorer" },
    element("h2", {}, set.data),
    element("label", { className: "kinds" }, "The nearest image is ", kinds),
    list, result);
}

document.getElementById("explorer").replaceChildren(...RETRIEVALS.map(explore));
