// Elements. Everything is written as text: nothing that is shown becomes markup.

const MAX_TEXT = 1_000_000; // characters of one text

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function show(id, text) {
  $(id).textContent = text;
  $(id).hidden = !text;
}

/** A function that has `work` done with the next frame: once, however often it is called. */
export function oncePerFrame(work) {
  let isPlanned = false;
  return () => {
    if (isPlanned) return;
    isPlanned = true;
    requestAnimationFrame(() => {
      isPlanned = false;
      work();
    });
  };
}

/** A text that grows: what was not shown yet is appended, and nothing past the limit. */
export class GrowingText {
  #length = 0;
  #waiting = "";

  constructor(className = "text") {
    this.element = make("pre", { className });
  }

  get isEmpty() {
    return this.#length === 0;
  }

  add(text) {
    if (this.#length <= MAX_TEXT) this.#waiting += text.slice(0, MAX_TEXT - this.#length);
    if (this.#length <= MAX_TEXT && this.#length + text.length > MAX_TEXT) this.#waiting += "\n… cut here";
    this.#length += text.length;
  }

  draw() {
    if (!this.#waiting) return;
    this.element.append(this.#waiting);
    this.#waiting = "";
  }
}

/** The element of a text that is whole. */
export function textElement(text, className) {
  const whole = new GrowingText(className);
  whole.add(text);
  whole.draw();
  return whole.element;
}

/** The element of any value that a node or a model has made. */
export function valueElement(value) {
  if (typeof value === "string") return textElement(value);
  const uri = typeof value?.uri === "string" ? safeAddress(value.uri) : null;
  if (uri && value.type === "image") return make("img", { src: uri, alt: "Image", loading: "lazy" });
  if (uri) return make("a", { href: uri, textContent: `Open the ${value.type ?? "file"}`, target: "_blank", rel: "noopener" });
  return textElement(JSON.stringify(value, null, 2) ?? "null", "");
}

/** This server's files, and images that came along; nothing else is loaded or linked. */
function safeAddress(text) {
  if (text.startsWith("data:image/")) return text;
  try {
    const url = new URL(text, location.href);
    return url.origin === location.origin ? url.href : null;
  } catch {
    return null;
  }
}
