"use strict";
// Sorts and filters the table of scans. Without this script the table is whole, and stays as it is.
(() => {
  const table = document.querySelector("table.scans");
  const body = table.tBodies[0];
  const form = document.querySelector("form.filter");
  const status = document.querySelector(".shown");
  const headings = [...table.tHead.rows[0].cells];

  const scans = [...body.rows].map((row, place) => ({
    row,
    place,
    text: row.textContent.toLowerCase(),
    values: [...row.cells].map((cell) => valueOf(cell)),
  }));

  // A number where the cell has one, a text where it has that, null for a figure that is missing.
  function valueOf(cell) {
    if ("text" in cell.dataset) return cell.dataset.text;
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  }

  function compare(a, b) {
    if (typeof a === "number") return a - b;
    return a.localeCompare(b, undefined, { numeric: true });
  }

  // What is missing comes last, whichever way is sorted; equals stay in the order of the page.
  function sort(column, direction) {
    const sign = direction === "descending" ? -1 : 1;
    scans.sort((a, b) => {
      const [x, y] = [a.values[column], b.values[column]];
      if (x === null || y === null) return (x === null) - (y === null) || a.place - b.place;
      return sign * compare(x, y) || a.place - b.place;
    });
    const sorted = document.createDocumentFragment();
    for (const { row } of scans) sorted.append(row);
    body.append(sorted);
    for (const heading of headings) heading.removeAttribute("aria-sort");
    headings[column].setAttribute("aria-sort", direction);
  }

  function limit(name) {
    const { value } = form.elements[name];
    return value.trim() === "" ? null : Number(value);
  }

  function within(value, least, most) {
    if (least === null && most === null) return true;
    if (value === null) return false;
    return (least === null || value >= least) && (most === null || value <= most);
  }

  function filter() {
    const words = form.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
    const state = form.elements.state.value;
    const outliers = form.elements.outliers.checked;
    const column = Number(form.elements.figure.value);
    const [least, most] = [limit("least"), limit("most")];
    let shown = 0;
    for (const { row, text, values } of scans) {
      const kept =
        words.every((word) => text.includes(word)) &&
        (state === "" || row.dataset.state === state) &&
        (!outliers || "outlier" in row.dataset) &&
        within(values[column], least, most);
      row.hidden = !kept;
      shown += kept;
    }
    status.textContent = `${shown} of ${scans.length} scans shown`;
  }

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    if (!("sorts" in heading.dataset)) return;
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") === "ascending";
      sort(column, up ? "descending" : "ascending");
    });
  });
  for (const kind of ["input", "change"]) form.addEventListener(kind, filter);
  form.addEventListener("reset", () => setTimeout(filter));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  filter();
})();
