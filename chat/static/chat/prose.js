// A text that grows, with code in it: what stands between fences, as models mark code,
// gets an element of its own, without the fences. Everything else stays as it is.

import { GrowingText } from "../nodetool_site/dom.js";

const OPENS = /^ {0,3}(`{3,})[^`\n]*\n$/;
const MAY_OPEN = /^ {0,3}(`{0,2}|`{3,}[^`\n]*)$/;
const CLOSES = /^ {0,3}(`{3,})[ \t]*\n?$/;
const MAY_CLOSE = /^ {0,3}`*[ \t]*$/;
const MAX_BLOCKS = 200; // of code; what comes behind is text

export class Prose {
  #begin;
  #part = null; // the text or the code that grows
  #line = ""; // the beginning of a line that may be a fence
  #isInLine = false;
  #fence = ""; // what began the code at hand
  #blocks = 0;

  /** `begin` is given each text, in a `GrowingText`, as soon as there is something in it. */
  constructor(begin) {
    this.#begin = begin;
  }

  add(text) {
    const lines = (this.#line + text).split(/(?<=\n)/);
    this.#line = "";
    for (const line of lines) this.#take(line);
  }

  /** Nothing more comes: what was held back is what it is. */
  end() {
    const line = this.#line;
    this.#line = "";
    if (line && !this.#closes(line)) this.#say(line);
  }

  #take(line) {
    if (this.#isInLine) return this.#say(line);
    if (!line.endsWith("\n") && (this.#fence ? MAY_CLOSE : MAY_OPEN).test(line)) this.#line = line;
    else if (this.#fence ? this.#closes(line) : this.#opens(line)) this.#part = null;
    else this.#say(line);
  }

  #opens(line) {
    if (this.#blocks >= MAX_BLOCKS || !OPENS.test(line)) return false;
    this.#blocks += 1;
    this.#fence = OPENS.exec(line)[1];
    return true;
  }

  #closes(line) {
    const marks = this.#fence && CLOSES.exec(line)?.[1];
    if (!marks || marks.length < this.#fence.length) return false;
    this.#fence = "";
    return true;
  }

  #say(text) {
    if (!text) return;
    this.#isInLine = !text.endsWith("\n");
    if (!this.#part) this.#begin((this.#part = new GrowingText(this.#fence ? "code" : "text")));
    this.#part.add(text);
  }
}
