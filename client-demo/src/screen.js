// Draws. Texts only ever become text nodes: a description may hold anything.

const WINDOWS = [["all", "All time"], ["month", "This month"], ["day", "Today"]];

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

// Amounts are decimals in text and stay so: a float would round them.
function grouped(amount) {
  const [integer, ...fraction] = amount.split(".");
  return [integer.replace(/\B(?=(\d{3})+$)/g, "\u202f"), ...fraction].join(".");
}

function windowCard(title, unit, sum) {
  const card = element("div", undefined, "window");
  card.append(element("h3", title));
  card.append(element("p", `${grouped(sum.amount)} ${unit}`, "sum"));
  card.append(element("div", `${sum.count} entries`));
  const categories = element("dl");
  for (const [name, amount] of Object.entries(sum.categories ?? {})) {
    categories.append(element("dt", name), element("dd", grouped(amount)));
  }
  card.append(categories);
  return card;
}

function totalsOf({ meter, unit, ...windows }) {
  const part = element("div");
  part.append(element("h2", meter));
  const cards = element("div", undefined, "windows");
  for (const [name, title] of WINDOWS) cards.append(windowCard(title, unit, windows[name]));
  part.append(cards);
  return part;
}

let lastOffset = Infinity;

function row(entry) {
  const line = element("tr", undefined, entry.offset > lastOffset ? "new" : "");
  line.append(
    element("td", String(entry.offset)),
    element("td", new Date(entry.time).toLocaleTimeString()),
    element("td", entry.description ?? entry.id),
    element("td", entry.category ?? ""),
    element("td", `${grouped(entry.amount)} ${entry.unit}`, "amount"),
    element("td", grouped(entry.total), "amount"),
  );
  return line;
}

export function show({ totals, entries }) {
  document.getElementById("totals").replaceChildren(...[...totals.values()].map(totalsOf));
  document.getElementById("entries").replaceChildren(...entries.toReversed().map(row));
  lastOffset = entries.at(-1)?.offset ?? 0;
}

export function showState(state, text) {
  const shown = document.getElementById("state");
  shown.dataset.state = state;
  shown.textContent = text;
}
