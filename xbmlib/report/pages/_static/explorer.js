// Shows the images retrieved for a query. The queries of a data set are loaded when it is chosen:
// retrievals_NAME.js adds them to RETRIEVALS. The address of the page names the query.
"use strict";

const RETRIEVALS = {};

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function load(name) {
  return new Promise((resolve, reject) => {
    if (RETRIEVALS[name]) resolve(RETRIEVALS[name]);
    else document.head.append(element("script", {
      src: `_static/retrievals_${name}.js`,
      onload: () => resolve(RETRIEVALS[name]),
      onerror: () => reject(new Error(`no queries of ${name}`)),
    }));
  });
}

// A choice of several words: one stop of the Tab key, arrows from word to word.
function choice(className, legend, values, group, content, chosen) {
  const radios = values.map((value) => {
    const radio = element("input", { type: "radio", name: group, value });
    radio.addEventListener("change", () => chosen(value));
    return element("label", {}, radio, content(value));
  });
  return element("fieldset", { className }, element("legend", {}, legend), ...radios);
}

function check(fieldset, value) {
  const radio = [...fieldset.querySelectorAll("input")].find((one) => one.value === String(value));
  radio.checked = true;
  return radio;
}

const page = document.getElementById("explorer");
const kinds = element("select");
const list = element("div");
const result = element("div", { className: "result" });
result.setAttribute("aria-live", "polite");
const names = page.dataset.sets.split(" ");
const sets = choice("sets", "Data set", names, "set", (name) => element("span", {}, name),
  (name) => open(name));
let set;

function picture(place, alt) {
  return element("img", { src: set.images[place], alt });
}

function item({ image, label, similarity, correct }, i) {
  const word = correct ? "correct" : "incorrect";
  const name = set.names[label];
  return element("li", { className: word },
    picture(image, `Number ${i + 1}, ${word}: ${name}`),
    element("span", { className: `badge ${word}` }, `${correct ? "✓" : "✗"} ${word}`),
    element("span", { className: "name" }, name),
    element("span", {}, similarity.toFixed(3)));
}

function show(query) {
  const name = set.names[query.label];
  const address = `#${set.data}-${query.query}`;
  history.replaceState(null, "", address);
  result.replaceChildren(
    element("figure", {},
      picture(query.image, `Query: ${name}`),
      element("figcaption", {},
        element("span", { className: "name" }, name), element("br"),
        element("a", { href: address }, `query ${query.query}`))),
    ...Object.entries(query.retrieved).map(([arm, images]) => element("section", {},
      element("h3", {}, arm),
      element("ol", {}, ...images.map(item)))));
}

function choose(kind, number) {
  const queries = set.queries.filter((query) => query.kind === kind);
  const of = Object.fromEntries(queries.map((query) => [query.query, query]));
  const strip = choice("queries", "Queries", queries.map((query) => query.query), "query",
    (id) => picture(of[id].image, `Query ${id}, ${set.names[of[id].label]}`), (id) => show(of[id]));
  list.replaceChildren(strip);
  kinds.value = kind;
  const radio = check(strip, number ?? queries[0].query);
  show(of[radio.value]);
  return radio;
}

async function open(name, number) {
  set = await load(name);
  check(sets, name);
  kinds.replaceChildren(...set.kinds.map((kind) => {
    const n = set.queries.filter((query) => query.kind === kind).length;
    return element("option", { value: kind, disabled: !n }, `${kind} (${n})`);
  }));
  const query = set.queries.find((one) => String(one.query) === number);
  const first = set.kinds.find((kind) => set.queries.some((one) => one.kind === kind));
  choose(query?.kind ?? first, query?.query);
}

// The query that the address names, or the first of all.
function follow() {
  const [name, number] = decodeURIComponent(location.hash.slice(1)).split("-");
  open(names.includes(name) ? name : names[0], number);
}

kinds.addEventListener("change", () => choose(kinds.value));
window.addEventListener("hashchange", follow);
// The arrows work before anything has been clicked, too.
document.addEventListener("keydown", (event) => {
  if (event.target !== document.body || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const radios = [...list.querySelectorAll("input")];
  const at = radios.findIndex((radio) => radio.checked);
  const next = radios.at((at + (event.key === "ArrowRight" ? 1 : -1)) % radios.length);
  next.focus();
  next.click();
});
page.replaceChildren(element("section", { className: "explorer" }, sets,
  element("label", { className: "kinds" }, "The nearest image is ", kinds), list, result));
follow();
