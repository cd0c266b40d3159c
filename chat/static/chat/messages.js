// The messages of a conversation as elements: what a user has said, and the answer to it.
//
// An answer is drawn in the same way whether it is stored or still being made. `said` of
// a block is what it says in words: two that say the same are the same.

import { GrowingText, make, textElement, valueElement } from "../nodetool_site/dom.js";
import { nameOf } from "./choices.js";
import { Prose } from "./prose.js";

const BETWEEN = "\n\n"; // texts of a workflow that are whole

/** What the user has said. */
export class Question {
  constructor(content) {
    this.said = textOf(content);
    this.element = make("li", { className: "message user" }, make("h3", { className: "sr-only", textContent: "You" }));
    this.element.append(...elementsOf(content));
  }
}

/** What a model or a workflow has answered so far; `draw` shows what is new. */
export class Answer {
  #text = "";
  #open = null; // the text that grows
  #isThinking = false;
  #waiting = []; // elements to append
  #growing = new Set();
  #calls = new Map();
  #files = 0;
  #piecesOf = new WorkflowPieces();

  /** `asked`: the message that is answered, if it is known. */
  constructor(asked = {}) {
    this.asked = asked;
    this.problem = "";
    this.isLive = false;
    this.name = make("h3", { className: "author" });
    this.element = make("li", { className: "message answer" }, this.name);
    this.note = make("p", { className: "muted" });
    this.trouble = make("p", { className: "problem" });
  }

  get said() {
    return [this.#text.trim(), ...this.#calls.keys()].join("\n");
  }

  get text() {
    return this.#text.trim();
  }

  /** Take the next event of the turn that makes this answer. */
  take(event) {
    if (event.type === "output_update" || event.type === "job_update") {
      this.addFiles(filesOf(event.value));
      return this.#piecesOf.next(event).forEach((piece) => this.add(piece));
    }
    if (!event.thread_id) return; // what the nodes of a workflow do on the way
    switch (event.type) {
      case "chunk":
        if (event.content_type === "text") this.add(event.content, event.thinking);
        break;
      case "tool_call_update":
        this.addCall({ id: event.tool_call_id, name: event.name, args: event.args });
        break;
      case "message":
        if (event.role === "tool") this.addResult(event.tool_call_id, event.content);
        break;
      case "error":
        this.problem = event.message;
        break;
    }
  }

  /** Take a message that is stored. */
  takeStored(message) {
    if (message.role === "tool") return this.addResult(message.tool_call_id, message.content);
    if (message.thinking) this.add(message.thinking, true);
    for (const call of message.tool_calls ?? []) this.addCall(call);
    if (typeof message.content === "string") this.add(message.content);
    else for (const part of partsOf(message.content)) this.#addPart(part);
    this.addFiles(message.output_files ?? []);
    this.#close();
    this.problem ||= message.error ?? "";
    if (!this.asked.model && !this.asked.workflow_id) this.asked = message;
  }

  add(text, isThinking = false) {
    if (!text) return;
    if (!this.#open || this.#isThinking !== isThinking) {
      this.#close();
      this.#open = isThinking ? this.#thoughts() : new Prose((part) => this.#begin(part, part.element));
      this.#isThinking = isThinking;
      if (this.#text) text = isThinking ? text : text.replace(/^\n+/, "");
    }
    if (!isThinking) this.#text += text;
    this.#open.add(text);
  }

  /** Show files that a workflow has made. */
  addFiles(files) {
    if (!files.length) return;
    this.#close();
    this.#files += files.length;
    this.#waiting.push(...files.map(valueElement));
  }

  addCall({ id, name, args, result }) {
    this.#close();
    const called = make("summary", {}, "Called ", make("code", { textContent: name }));
    const call = make("details", { className: "tool" }, called, valueElement(args ?? {}));
    this.#calls.set(id ?? `${this.#calls.size} ${name}`, call);
    this.#waiting.push(call);
    if (result !== undefined && result !== null) this.addResult(id, result);
  }

  addResult(id, result) {
    const call = this.#calls.get(id);
    if (!call) return;
    call.lastElementChild.classList.contains("result") && call.lastElementChild.remove();
    call.append(make("div", { className: "result" }, valueElement(result)));
  }

  draw() {
    if (!this.isLive) this.#close();
    this.name.textContent = nameOf(this.asked) || "Answer";
    this.element.append(...this.#waiting);
    this.#waiting = [];
    for (const text of this.#growing) text.draw();
    this.trouble.textContent = this.problem;
    if (this.problem) this.element.append(this.trouble);
    const isEmpty = !this.said && !this.#files && !this.problem;
    this.note.textContent = this.isLive ? "…" : "No answer.";
    if (isEmpty) this.element.append(this.note);
    else this.note.remove();
    this.element.setAttribute("aria-busy", String(this.isLive));
  }

  #addPart(part) {
    if (part.type === "text") return this.add(part.text ?? "");
    if (part.type === "thought") return this.add(part.text ?? "", true);
    this.#close();
    this.#waiting.push(valueElement(mediaOf(part)));
  }

  #thoughts() {
    const thoughts = new GrowingText();
    const summary = make("summary", { textContent: "Thinking" });
    this.#begin(thoughts, make("details", { className: "thinking" }, summary, thoughts.element));
    return thoughts;
  }

  #begin(text, element) {
    this.#waiting.push(element);
    this.#growing.add(text);
  }

  #close() {
    this.#open?.end?.();
    this.#open = null;
  }
}

/** What the outputs of a workflow add to its answer: as the server joins them. */
class WorkflowPieces {
  #open = "";
  #hasSpoken = false;
  #values = new Map(); // what is neither text nor file, by output: the last counts

  next({ type, status, value, output_name: output, output_type: kind, disposition }) {
    if (type === "job_update") return status === "completed" ? this.#rest() : [];
    if (value?.type === "chunk" || typeof value === "string") {
      const isText = typeof value === "string" || ((value.content_type ?? "text") === "text" && !value.thinking);
      return this.#say(isText ? (value.content ?? value) : "", kind === "chunk" || disposition === "append" ? output : "");
    }
    if (value !== null && !filesOf(value).length) this.#values.set(output, value);
    return [];
  }

  #rest() {
    const values = [...this.#values.values()];
    this.#values.clear();
    return values.flatMap((value) => this.#say(JSON.stringify(value), ""));
  }

  #say(text, stream) {
    if (typeof text !== "string" || !text) return [];
    const isApart = this.#hasSpoken && !(stream && stream === this.#open);
    this.#open = stream;
    this.#hasSpoken = true;
    return isApart ? [BETWEEN, text] : [text];
  }
}

/** The files that a value is. */
export function filesOf(value) {
  const values = Array.isArray(value) ? value : [value];
  const isFile = (one) => typeof one?.type === "string" && typeof one.uri === "string" && one.uri !== "";
  return values.every(isFile) ? values : [];
}

/** The blocks of stored messages, oldest first: each question with the answer to it. */
export function blocksOf(messages) {
  const blocks = [];
  for (const message of messages) {
    if (message.role === "user") blocks.push(new Question(message.content), new Answer(message));
    else if (message.role !== "system") {
      if (!blocks.length) blocks.push(new Answer());
      blocks.at(-1).takeStored(message);
    }
  }
  return blocks;
}

function elementsOf(content) {
  if (typeof content === "string") return [textElement(content)];
  return partsOf(content).map((part) => (part.type === "text" ? textElement(part.text ?? "") : valueElement(mediaOf(part))));
}

function textOf(content) {
  if (typeof content === "string") return content;
  return partsOf(content).map((part) => part.text ?? JSON.stringify(part)).join("\n");
}

function partsOf(content) {
  if (content === null || content === undefined) return [];
  return Array.isArray(content) ? content : [content];
}

/** What a part of a message refers to, in either of its forms. */
function mediaOf(part) {
  return part.image ?? part.audio ?? part.video ?? part.document ?? part;
}
