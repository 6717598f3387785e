"use strict";
// One player at a time; the playhead follows it over its pictures, which are also its slider.
(() => {
  document.documentElement.classList.add("js");
  let playing = null;

  const clips = [...document.querySelectorAll(".clip")].map((root) => {
    const find = (selector) => root.querySelector(selector);
    const clip = {
      root, row: root.closest(".row"), audio: find("audio"), button: find("button"), seek: find(".seek"), now: find(".now"),
      head: find(".playhead"), name: root.getAttribute("aria-label"), seconds: +root.dataset.seconds, span: +root.dataset.span,
    };
    if (clip.audio) wire(clip);
    return clip;
  }).filter((clip) => clip.audio);

  function wire(clip) {
    clip.audio.controls = false;
    clip.button.addEventListener("click", () => toggle(clip));
    clip.audio.addEventListener("play", () => shown(clip, true));
    clip.audio.addEventListener("pause", () => shown(clip, false));
    clip.audio.addEventListener("ended", () => move(clip, 0));
    const toPointer = (event) => {
      const box = clip.seek.getBoundingClientRect();
      move(clip, ((event.clientX - box.left) / box.width) * clip.span);
    };
    clip.seek.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      clip.seek.setPointerCapture(event.pointerId);
      toPointer(event);
    });
    clip.seek.addEventListener("pointermove", (event) => {
      if (clip.seek.hasPointerCapture(event.pointerId)) toPointer(event);
    });
    clip.seek.addEventListener("keydown", (event) => {
      const at = clip.audio.currentTime;
      const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 5, PageUp: at + 5,
        Home: 0, End: clip.seconds }[event.key];
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (to !== undefined) move(clip, to);
      else if (event.key === " " || event.key === "Enter") toggle(clip);
      else return;
      event.preventDefault();
    });
  }

  function toggle(clip) {
    if (!clip.audio.paused) return clip.audio.pause();
    if (playing && playing !== clip) {
      if (playing.row === clip.row) move(clip, playing.audio.currentTime);
      playing.audio.pause();
    }
    clip.audio.play();
  }

  function move(clip, to) {
    clip.audio.currentTime = Math.min(Math.max(to, 0), clip.seconds);
    clip.root.classList.add("started");
    draw(clip);
  }

  function shown(clip, plays) {
    clip.root.classList.toggle("playing", plays);
    const { play = "Play", pause = "Pause" } = clip.button.dataset;
    clip.button.setAttribute("aria-label", (plays ? pause : play) + " " + clip.name);
    if (plays) {
      clip.root.classList.add("started");
      playing = clip;
      follow();
    } else if (playing === clip) {
      playing = null;
    }
    draw(clip);
  }

  function follow() {
    if (!playing) return;
    draw(playing);
    requestAnimationFrame(follow);
  }

  function draw(clip) {
    const at = clip.audio.currentTime;
    clip.head.style.left = (100 * at) / clip.span + "%";
    clip.now.textContent = at.toFixed(1);
    clip.seek.setAttribute("aria-valuenow", at.toFixed(1));
    clip.seek.setAttribute("aria-valuetext", at.toFixed(1) + " " + (clip.seek.dataset.seconds || "seconds"));
  }

  document.addEventListener("keydown", (event) => {
    // A page whose answers are numbers turns the digits off.
    if (document.body.dataset.digits === "off" || !/^[1-9]$/.test(event.key) || event.ctrlKey || event.altKey || event.metaKey) return;
    const row = (playing || clips.find((clip) => clip.root.contains(document.activeElement)) || clips[0] || {}).row;
    const chosen = clips.filter((clip) => clip.row === row)[event.key - 1];
    if (chosen && chosen !== playing) toggle(chosen);
  });
})();
