"use strict";
// A song, a sentence, an edit. Source and result run on one clock of Web Audio; a switch only changes their gains.
(() => {
  document.documentElement.classList.add("js");
  const at = (id) => document.getElementById(id);
  const sides = [...document.querySelectorAll(".side")];
  const GAINS = { source: { source: 1, result: 0 }, result: { source: 0, result: 1 }, difference: { source: 1, result: -1 } };
  const FADE_S = 0.01;
  const START_S = 0.05;
  let song = null;
  let running = null;

  // Sound
  let context = null;
  let buffers = {};
  let nodes = [];
  let playing = false;
  let began = 0;
  let offset = 0;
  let side = "source";

  const length = () => (buffers.source ? buffers.source.duration : 0);
  const position = () => Math.min(length(), playing ? offset + Math.max(0, context.currentTime - began) : offset);

  function start() {
    began = context.currentTime + START_S;
    nodes = Object.entries(buffers).map(([name, buffer]) => {
      const player = new AudioBufferSourceNode(context, { buffer });
      const gain = new GainNode(context, { gain: GAINS[side][name] });
      player.connect(gain).connect(context.destination);
      player.start(began, offset);
      return { name, player, gain };
    });
    playing = true;
    document.body.classList.add("started");
    follow();
  }

  function stop() {
    offset = position();
    nodes.forEach(({ player, gain }) => { player.stop(); gain.disconnect(); });
    nodes = [];
    playing = false;
  }

  async function toggle() {
    if (!length()) return;
    if (playing) stop();
    else {
      await context.resume();
      if (position() >= length()) offset = 0;
      start();
    }
    draw();
  }

  function move(to) {
    const plays = playing;
    if (plays) stop();
    offset = Math.min(Math.max(to, 0), length());
    document.body.classList.add("started");
    if (plays) start();
    draw();
  }

  function listen(to) {
    if (to !== "source" && !buffers.result) return;
    side = to;
    for (const { name, gain } of nodes) {
      gain.gain.cancelScheduledValues(context.currentTime);
      gain.gain.setTargetAtTime(GAINS[side][name], context.currentTime, FADE_S / 3);
    }
    draw();
  }

  function follow() {
    if (!playing) return;
    if (position() >= length()) {
      stop();
      offset = 0;
    }
    draw();
    requestAnimationFrame(follow);
  }

  function draw() {
    const now = position();
    const text = now.toFixed(1);
    document.querySelector(".now").textContent = text;
    at("length").textContent = length().toFixed(1);
    at("listen").classList.toggle("playing", playing);
    at("play").disabled = !length();
    at("play").setAttribute("aria-label", playing ? "Pause" : "Play");
    for (const each of sides) {
      each.setAttribute("aria-pressed", each.dataset.side === side);
      each.disabled = each.dataset.side !== "source" && !buffers.result;
    }
    for (const clip of document.querySelectorAll("#pictures .clip")) {
      clip.classList.toggle("heard", side === "difference" || clip.dataset.label.toLowerCase() === side);
      clip.querySelector(".playhead").style.left = (100 * now) / (length() || 1) + "%";
      const seek = clip.querySelector(".seek");
      seek.setAttribute("aria-valuenow", text);
      seek.setAttribute("aria-valuetext", text + " seconds");
    }
  }

  async function load(name, url) {
    context ??= new AudioContext();
    const answer = await fetch(url);
    if (!answer.ok) throw new Error("the sound is gone: choose the song again");
    return context.decodeAudioData(await answer.arrayBuffer());
  }

  function show(html) {
    at("pictures").innerHTML = html; // escaped by the server
    at("listen").hidden = false;
    for (const seek of document.querySelectorAll("#pictures .seek")) {
      const toPointer = (event) => {
        const box = seek.getBoundingClientRect();
        move(((event.clientX - box.left) / box.width) * length());
      };
      seek.addEventListener("pointerdown", (event) => {
        if (event.button) return;
        seek.setPointerCapture(event.pointerId);
        toPointer(event);
      });
      seek.addEventListener("pointermove", (event) => { if (seek.hasPointerCapture(event.pointerId)) toPointer(event); });
    }
    draw();
  }

  // Song
  async function choose(name, url, body) {
    fail("");
    if (running) running.abort();
    if (playing) stop();
    at("song").textContent = "Reading " + name + " …";
    try {
      const chosen = await ask(url, { method: "POST", body });
      song = chosen;
      buffers = {};
      offset = 0;
      side = "source";
      at("download").hidden = true;
      at("notes").textContent = "";
      at("drop").classList.add("chosen");
      at("song").textContent = `${song.name} (${song.seconds.toFixed(1)} s, ${song.rate_hz / 1000} kHz, ` +
        `${song.channels} ${song.channels === 1 ? "channel" : "channels"})`;
      show(song.view);
      const buffer = await load("source", `songs/${song.id}/source.flac`);
      if (song === chosen) buffers = { source: buffer };
    } catch (error) {
      at("song").textContent = song ? song.name : "Drop a file here, or choose one";
      fail(error.message);
    }
    enable();
    draw();
  }

  const send = (file) => file && choose(file.name, "songs?name=" + encodeURIComponent(file.name), file);

  // Sentence
  let asked = 0;
  let readable = false;
  let waiting = 0;

  async function read() {
    const number = ++asked;
    const sentence = at("sentence").value.trim();
    readable = false;
    let steps = [];
    let line = "";
    if (sentence) {
      try {
        const plan = await ask("plan?sentence=" + encodeURIComponent(sentence));
        steps = [...plan.steps.map((step) => [said(step), ""]), ...plan.notes.map((note) => [note, "remark"])];
        readable = true;
      } catch (error) {
        line = error.message;
      }
    }
    if (number !== asked) return;
    at("plan").replaceChildren(...steps.map(([text, kind]) => Object.assign(document.createElement("li"), { textContent: text, className: kind })));
    fail(line);
    enable();
  }

  function said(step) {
    const clock = (s) => `${Math.floor(s / 60)}:${String(+(s % 60).toFixed(2)).padStart(2, "0")}`;
    const parts = [step.task, (step.instruments || []).join(", ")];
    if (step.with) parts.push("with " + step.with.join(", "));
    if (step.genre) parts.push("to " + step.genre);
    if (step.gain_db) parts.push((step.gain_db > 0 ? "+" : "−") + Math.abs(step.gain_db) + " dB");
    if (step.start_s !== undefined) parts.push("from " + clock(step.start_s));
    if (step.end_s !== undefined) parts.push("to " + clock(step.end_s));
    return parts.filter(Boolean).join(" ");
  }

  function write(sentence) {
    at("sentence").value = sentence;
    return read();
  }

  // Edit
  async function edit() {
    if (running) return running.abort();
    const of = song;
    if (!of) return fail("choose a song first");
    running = new AbortController();
    fail("");
    progress(0, "starting");
    enable();
    try {
      const answer = await fetch(`songs/${of.id}/edits`, {
        method: "POST", signal: running.signal, headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ sentence: at("sentence").value }),
      });
      if (!answer.ok) throw new Error(await reason(answer));
      let last = {};
      for await (const line of lines(answer.body)) {
        last = line;
        if (line.error) throw new Error(line.error);
        progress(line.share || 0, line.waiting ? "another edit comes first" : `${Math.round(100 * line.share)} %`);
      }
      if (!last.view) throw new Error("the program ended during the edit");
      await finish(of, last);
    } catch (error) {
      if (error.name !== "AbortError") fail(error.message);
    }
    running = null;
    at("progress").hidden = true;
    enable();
  }

  async function finish(of, last) {
    const url = `songs/${of.id}/result.flac`;
    const result = await load("result", url);
    if (song !== of) return;
    const plays = playing;
    if (plays) stop();
    buffers = { ...buffers, result };
    side = "result";
    if (plays) start();
    Object.assign(at("download"), { href: url, hidden: false });
    show(last.view);
    at("notes").textContent = last.notes.join("; ");
  }

  async function* lines(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const parts = (text + value).split("\n");
      text = parts.pop();
      yield* parts.map((part) => JSON.parse(part));
    }
  }

  function progress(share, text) {
    at("progress").hidden = false;
    at("progress").querySelector("progress").value = share;
    at("state").textContent = text;
  }

  // Page
  async function ask(url, options) {
    let answer;
    try {
      answer = await fetch(url, options);
    } catch {
      throw new Error("no answer: does the program still run?");
    }
    if (!answer.ok) throw new Error(await reason(answer));
    const told = await answer.json();
    if (told.error) throw new Error(told.error);
    return told;
  }

  async function reason(answer) {
    const told = await answer.json().catch(() => ({}));
    return typeof told.error === "string" ? told.error : `the program refused (${answer.status}): its terminal says why`;
  }

  function fail(line) {
    at("error").textContent = line;
    const near = /nearest that works: "(.+)"$/.exec(line);
    if (!near) return;
    const take = Object.assign(document.createElement("button"), { type: "button", className: "choice", textContent: "Use it" });
    take.addEventListener("click", () => write(near[1]));
    at("error").append(take);
  }

  function enable() {
    at("edit").textContent = running ? "Stop" : "Edit";
    at("edit").disabled = !running && !readable;
  }

  at("file").addEventListener("change", () => { send(at("file").files[0]); at("file").value = ""; });
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      at("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") send(event.dataTransfer.files[0]);
    });
  }
  for (const each of document.querySelectorAll(".example")) {
    each.addEventListener("click", () => choose(each.textContent, "examples/" + each.dataset.name));
  }
  for (const each of document.querySelectorAll(".sentence")) each.addEventListener("click", () => write(each.textContent));
  at("sentence").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(read, 200); });
  at("form").addEventListener("submit", async (event) => {
    event.preventDefault();
    clearTimeout(waiting);
    if (!running) await read();
    if (running || !at("edit").disabled) edit();
  });
  at("play").addEventListener("click", toggle);
  for (const each of sides) each.addEventListener("click", () => listen(each.dataset.side));
  document.addEventListener("keydown", (event) => {
    if (event.target === at("sentence") || event.ctrlKey || event.altKey || event.metaKey || !length()) return;
    const to = { ArrowLeft: position() - 1, ArrowRight: position() + 1, PageDown: position() - 5, PageUp: position() + 5, Home: 0 }[event.key];
    if (to !== undefined) move(to);
    else if (event.key === " " && !/^(BUTTON|A|INPUT)$/.test(event.target.tagName)) toggle();
    else if (/^[1-3]$/.test(event.key)) listen(Object.keys(GAINS)[event.key - 1]);
    else return;
    event.preventDefault();
  });
})();
