"use strict";
// Tables sort by the data-sort of their cells: numbers as numbers, texts as texts, missing values always last.
function keyOf(row, column) {
  const cell = row.cells[column];
  if (!cell.hasAttribute("data-sort")) return null;
  const text = cell.getAttribute("data-sort");
  return cell.hasAttribute("data-number") ? Number(text) : text.toLowerCase();
}
function compare(a, b, sign) {
  if (a === null || b === null) return (a === null) - (b === null);
  return sign * (a < b ? -1 : a > b ? 1 : 0);
}
function sortBy(head) {
  const body = head.closest("table").tBodies[0];
  const first = head.hasAttribute("data-number") ? "descending" : "ascending";
  const other = first === "ascending" ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  for (const cell of head.parentElement.cells) cell.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const rows = Array.from(body.rows);
  rows.sort((a, b) => compare(keyOf(a, head.cellIndex), keyOf(b, head.cellIndex), sign));
  body.append(...rows);
}
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => sortBy(button.closest("th")));
}
window.addEventListener("beforeprint", () => {
  for (const part of document.querySelectorAll("details")) part.open = true;
});
