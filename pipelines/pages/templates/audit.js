"use strict";
// Tables sort, fold and filter; bins and cells tell their numbers; the contents follow the reader.
(() => {
  const words = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const whole = new Intl.NumberFormat("en");

  document.querySelectorAll("table[aria-labelledby]").forEach((table) => {
    const holder = table.closest(".evidence") || table.closest(".item");
    const [field, all, count] = ["input", ".all", "output"].map((selector) => holder.querySelector(selector));
    const body = table.tBodies[0];
    const texts = new Map([...body.rows].map((row) => [row, row.textContent.toLowerCase()]));
    let most = +table.dataset.fold || Infinity;

    function show() {
      const wanted = field ? field.value.trim().toLowerCase() : "";
      let found = 0;
      for (const row of body.rows) row.hidden = !(texts.get(row).includes(wanted) && ++found <= most);
      if (!all) return;
      all.hidden = found <= +table.dataset.fold;
      all.textContent = most < Infinity ? "Show all " + whole.format(found) : "Show fewer";
      all.setAttribute("aria-expanded", most === Infinity);
      holder.classList.toggle("opened", most === Infinity && found > 30);
      count.textContent = wanted ? whole.format(found) + " of " + whole.format(body.rows.length) : "";
    }

    [...table.tHead.rows[0].cells].forEach((head, column) => {
      const button = head.querySelector("button");
      if (button) button.addEventListener("click", () => sort(head, column));
    });

    function sort(head, column) {
      const first = head.classList.contains("number") ? "descending" : "ascending";
      const other = first === "ascending" ? "descending" : "ascending";
      const to = head.getAttribute("aria-sort") === first ? other : first;
      for (const each of head.parentNode.cells) each.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", to);
      const turn = to === "ascending" ? 1 : -1;
      const keyed = [...body.rows].map((row) => [key(row.cells[column]), row]);
      keyed.sort(([one], [other]) => (one === null) - (other === null) || turn * compare(one, other));
      body.append(...keyed.map(([, row]) => row));
      show();
    }

    if (field) field.addEventListener("input", show);
    if (all) all.addEventListener("click", () => {
      most = most < Infinity ? Infinity : +table.dataset.fold;
      show();
    });
    show();
  });

  function key(cell) {
    if (cell.classList.contains("none")) return null;
    return cell.classList.contains("number") ? +(cell.dataset.v ?? cell.textContent) : cell.textContent;
  }

  function compare(one, other) {
    const numbers = (typeof other === "number") - (typeof one === "number");
    return numbers || (typeof one === "number" ? (one > other) - (one < other) : words.compare(one, other));
  }

  const tip = document.body.appendChild(document.createElement("div"));
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");

  function tell(text, box) {
    tip.textContent = text;
    tip.hidden = false;
    const { width, height } = tip.getBoundingClientRect();
    const left = (box.left + box.right - width) / 2;
    tip.style.left = Math.max(8, Math.min(left, document.documentElement.clientWidth - width - 8)) + "px";
    tip.style.top = (box.top > height + 12 ? box.top - height - 8 : box.bottom + 8) + "px";
  }

  const hush = () => { tip.hidden = true; };
  addEventListener("scroll", hush, { passive: true, capture: true });

  document.querySelectorAll(".hit").forEach((bin) => {
    const title = bin.querySelector("title");
    title.remove();
    bin.setAttribute("data-tip", title.textContent);
    bin.addEventListener("pointerenter", () => tell(title.textContent, bin.getBoundingClientRect()));
    bin.addEventListener("pointerleave", hush);
  });

  document.querySelectorAll(".heatmap").forEach((map) => {
    const cells = map.querySelector(".cells");
    const [rows, columns] = [".of-rows span", ".of-columns span"].map((selector) => [...map.querySelectorAll(selector)]);
    const values = map.dataset.values.split(";").map((row) => row.split(" "));
    const frame = document.createElement("i");
    let [row, column] = [0, 0];

    function tellCell() {
      leave();
      rows[row].classList.add("on");
      columns[column].classList.add("on");
      const { left, top, width, height } = cells.getBoundingClientRect();
      const [w, h] = [width / columns.length, height / rows.length];
      frame.style.cssText = `left: ${column * w}px; top: ${row * h}px`;
      cells.append(frame);
      const box = { left: left + column * w, right: left + (column + 1) * w, top: top + row * h, bottom: top + (row + 1) * h };
      tell(`${rows[row].textContent} × ${columns[column].textContent}: ${whole.format(values[row][column])}`, box);
    }

    function leave() {
      map.querySelectorAll(".on").forEach((name) => name.classList.remove("on"));
      frame.remove();
      hush();
    }

    const place = (at, from, size, count) => Math.max(0, Math.min(count - 1, Math.floor(((at - from) / size) * count)));
    cells.addEventListener("pointermove", (event) => {
      const { left, top, width, height } = cells.getBoundingClientRect();
      row = place(event.clientY, top, height, rows.length);
      column = place(event.clientX, left, width, columns.length);
      tellCell();
    });
    cells.addEventListener("pointerleave", leave);
    cells.addEventListener("blur", leave);
    cells.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      row = Math.max(0, Math.min(rows.length - 1, row + step[0]));
      column = Math.max(0, Math.min(columns.length - 1, column + step[1]));
      columns[column].scrollIntoView({ block: "nearest", inline: "nearest" });
      rows[row].scrollIntoView({ block: "nearest", inline: "nearest" });
      tellCell();
    });
  });

  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.getAttribute("href").slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      links.forEach((link) => link.removeAttribute("aria-current"));
      links.get(target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-12% 0px -80% 0px" });
  document.querySelectorAll(".part").forEach((part) => links.has(part.id) && seen.observe(part));
})();
