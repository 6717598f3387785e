"use strict";
// Every click goes to the server before the page goes on. What is not acknowledged stays in the browser's storage and is sent again.
(() => {
  const page = document.getElementById("page");
  const step = +page.dataset.step, attempt = +page.dataset.attempt, heardS = +page.dataset.heardS;
  const base = location.pathname.replace(/\/$/, ""), store = "click " + base + " ";
  const next = document.getElementById("next"), state = document.getElementById("state");
  const clips = [...document.querySelectorAll(".clip")];
  const pair = page.dataset.kind === "pair";
  let sending = false, leaving = false;

  const link = document.querySelector(".resume a");
  if (link) { link.href = location.pathname; link.textContent = location.origin + location.pathname; }

  // Each click has an entry of its own, named by its time: two windows of one session never overwrite each other's.
  const memory = {};
  let count = 0;
  const names = () => {
    let stored = [];
    try { stored = Object.keys(localStorage).filter((name) => name.startsWith(store)); } catch { /* no storage: only in memory */ }
    return [...stored, ...Object.keys(memory)].sort();
  };
  const read = (name) => memory[name] || localStorage.getItem(name);
  const drop = (name) => { delete memory[name]; try { localStorage.removeItem(name); } catch { /* no storage */ } };
  const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

  function add(path, click) {
    const body = { click: unique(), step, attempt, ...click };
    const name = store + [String(Date.now()).padStart(15, "0"), String(count++).padStart(6, "0"), body.click].join(" ");
    const text = JSON.stringify({ path, body });
    try { localStorage.setItem(name, text); } catch { memory[name] = text; }
    send();
  }

  async function send() {
    if (sending) return;
    sending = true;
    show();
    let pause = 300;
    for (let [name] = names(); name; [name] = names()) {
      const text = read(name);
      if (!text) continue;  // another window has sent it
      const { path, body } = JSON.parse(text);
      let answer = null;
      try {
        answer = await fetch(base + path, {
          method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal: AbortSignal.timeout(15000),
        });
      } catch { /* no network */ }
      if (!answer || answer.status >= 500) {
        show(true);
        await new Promise((done) => { setTimeout(done, pause); window.addEventListener("online", done, { once: true }); });
        pause = Math.min(pause * 2, 5000);
        continue;
      }
      pause = 300;
      drop(name);
      if (!answer.ok || path === "/next") {
        leaving = true;
        if (!answer.ok) state.textContent = page.dataset.moved;
        location.reload();
        return;
      }
    }
    sending = false;
    show();
  }

  function show(bad = false) {
    if (!next) return;
    const waiting = names().length > 0;
    state.classList.toggle("bad", bad);
    state.textContent = bad ? page.dataset.notSaved : waiting ? page.dataset.saving : page.querySelector("input:checked") ? page.dataset.saved : "";
    const answered = new Set([...page.querySelectorAll("input:checked")].map((input) => input.name)).size;
    const needed = +page.dataset.answers;
    const heard = page.dataset.kind !== "volume" || clips.every((clip) => clip.classList.contains("heard"));
    next.disabled = leaving || waiting || answered < needed || !heard;
  }

  for (const clip of clips) {
    const audio = clip.querySelector("audio"), place = +clip.dataset.place;
    let last = null, played = 0;
    audio.addEventListener("play", () => { last = audio.currentTime; add("/click", { kind: "play", place }); });
    const count = () => {
      const passed = audio.currentTime - last;
      if (last !== null && passed > 0 && passed < 1.5) played += passed;
      last = audio.currentTime;
      if (played >= Math.min(heardS, 0.9 * clip.dataset.seconds) && !clip.classList.contains("heard")) heard();
    };
    const heard = () => {
      clip.classList.add("heard");
      add("/click", { kind: "heard", place });
      open();
    };
    audio.addEventListener("timeupdate", count);
    audio.addEventListener("seeking", () => { last = audio.currentTime; });
    audio.addEventListener("pause", count);
  }

  function open() {
    for (const choices of page.querySelectorAll("fieldset")) {
      const clip = choices.closest(".clip");
      choices.disabled = clip ? !clip.classList.contains("heard") : !clips.filter((each) => !each.classList.contains("source")).every((each) => each.classList.contains("heard"));
    }
  }

  page.addEventListener("change", (event) => {
    if (event.target.type === "radio") add("/click", { kind: "rate", place: +event.target.dataset.place, value: +event.target.value });
  });
  if (next) next.addEventListener("click", () => { next.disabled = true; add("/next", {}); });
  window.addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  if (pair) open();
  send();
})();
