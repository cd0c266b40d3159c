// The view of runs: choose a workflow, run it, watch it.
//
// A run belongs to the server. The page keeps its id in the address and the number of
// the last event it has seen; whatever becomes of the page or of the connection, it asks
// for the rest. Everything is written as text: nothing a workflow says becomes markup.

import { $, GrowingText, make, oncePerFrame, show, valueElement } from "../nodetool_site/dom.js";
import { get, newId, SignInNeeded } from "../nodetool_site/server.js";
import { addView, attempt, connect, go } from "../nodetool_site/shell.js";

const PAGE_SIZE = 100;
const MAX_VALUES = 50; // values of one output
const MAX_EVENTS = 500; // rows of the list of events
const MAX_LOG_LINES = 5; // log lines of one node
const LIVE = new Set(["", "running", "suspended"]);

const draw = oncePerFrame(() => run && drawRun());
const connection = connect({
  onOpen: () => {
    if (!run) return;
    // The id makes a second request the same run, so a lost answer costs nothing.
    if (run.request) connection.send("run_job", run.request);
    else connection.send("reconnect_job", { job_id: run.id, last_seq: run.lastSeq });
    draw();
  },
  onMessage: (message) => receive(message),
  onState: draw,
});

// --- Workflows

const workflows = new Map(); // id -> what the lists show of it
const examples = new Map(); // id -> the whole workflow
let nextPage = "";
let current = null; // the workflow whose form is shown

async function loadLists() {
  const shipped = await get("/api/workflows/examples");
  for (const example of shipped.workflows) examples.set(example.id, example);
  await loadPage();
}

async function loadPage() {
  const query = new URLSearchParams({
    cursor: nextPage,
    limit: PAGE_SIZE,
    columns: "id,name,description",
  });
  const page = await get(`/api/workflows/?${query}`);
  for (const workflow of page.workflows) workflows.set(workflow.id, workflow);
  nextPage = page.next ?? "";
  drawLists();
}

function drawLists() {
  const wanted = $("filter").value.trim().toLowerCase();
  const fits = ({ name, description }) => `${name}\n${description}`.toLowerCase().includes(wanted);
  const mine = [...workflows.values()].filter((w) => !examples.has(w.id));
  const shipped = [...examples.values()].filter(fits);
  $("lists").replaceChildren(
    ...listOf("Your workflows", mine.filter(fits)),
    ...listOf("Examples", shipped),
    ...(mine.length || wanted ? [] : [howToAddWorkflows()]),
  );
  $("more").hidden = !nextPage;
}

function howToAddWorkflows() {
  const how = make("code", { textContent: "nodetool workflows import FILE" });
  return make("p", { className: "muted note" }, how, " adds workflows of your own.");
}

function listOf(title, found) {
  if (!found.length) return [];
  const rows = found.map((workflow) => {
    const button = make("button", { type: "button" }, workflow.name || workflow.id);
    if (workflow.description) button.append(make("span", { textContent: workflow.description }));
    if (workflow.id === current?.id) button.setAttribute("aria-current", "true");
    button.onclick = () => go(`?workflow=${encodeURIComponent(workflow.id)}`);
    return make("li", {}, button);
  });
  return [make("h2", { textContent: title }), make("ul", {}, ...rows)];
}

async function openWorkflow(id, values = {}) {
  const isUnsaved = examples.has(id) && !workflows.has(id);
  const found = isUnsaved ? examples.get(id) : await get(`/api/workflows/${encodeURIComponent(id)}`);
  current = { ...found, isUnsaved };
  $("workflow-name").textContent = found.name || found.id;
  show("workflow-description", found.description);
  $("fields").replaceChildren(...inputsOf(found).map((input) => fieldOf(input, values)));
  $("workflow").hidden = false;
  drawLists();
}

// --- The form

function inputsOf(workflow) {
  const nodes = new Map();
  for (const node of workflow.graph.nodes) {
    if (node.type.startsWith("nodetool.input.")) nodes.set(node.data.name || node.id, node);
  }
  return Object.entries(workflow.input_schema?.properties ?? {}).map(([name, schema]) => {
    const node = nodes.get(name) ?? { type: "", data: {} };
    return { name, schema, data: node.data, isStream: node.type.endsWith(".RealtimeAudioInput") };
  });
}

const streamsOf = (workflow) => inputsOf(workflow).filter((input) => input.isStream);

/** A labelled control; it carries `read`, which gives the parameter or undefined. */
function fieldOf(input, values) {
  const { name, schema, data } = input;
  const id = `input-${name}`;
  const label = make("label", { htmlFor: id, textContent: data.label || name });
  if (input.isStream) {
    const hint = make("p", { className: "muted", textContent: "A stream: its values are sent while the workflow runs." });
    return make("div", { className: "field" }, make("strong", { textContent: name }), hint);
  }
  const [control, read] = controlOf(input, values[name]);
  control.id = id;
  const isCheck = control.type === "checkbox";
  const field = make("div", { className: isCheck ? "field check" : "field" });
  field.append(...(isCheck ? [control, label] : [label, control]));
  const hint = hintOf(schema, data);
  if (hint && !isCheck) {
    field.append(make("span", { id: `${id}-hint`, className: "muted", textContent: hint }));
    control.setAttribute("aria-describedby", `${id}-hint`);
  }
  field.read = () => [name, read()];
  return field;
}

function controlOf({ schema, data }, value) {
  const given = value ?? schema.default ?? data.value;
  if (schema.type === "boolean") {
    const box = make("input", { type: "checkbox", checked: Boolean(given) });
    return [box, () => box.checked];
  }
  if (schema.type === "integer" || schema.type === "number") {
    const box = make("input", { type: "number", value: String(given ?? "") });
    Object.assign(box, { min: schema.minimum, max: schema.maximum });
    box.step = schema.type === "integer" ? "1" : "any";
    return [box, () => (box.value === "" ? undefined : Number(box.value))];
  }
  if (Array.isArray(data.options) && data.options.length) {
    const options = data.options.map((text) => new Option(text, text));
    const box = make("select", {}, ...options);
    if (given) box.value = given;
    return [box, () => box.value];
  }
  if (schema.properties?.uri) {
    const box = make("input", { type: "url", value: given?.uri ?? "", placeholder: "https://" });
    const type = schema.properties.type.enum[0];
    return [box, () => (box.value ? { type, uri: box.value } : undefined)];
  }
  const isText = schema.type === "string";
  const text = typeof given === "string" ? given : given === undefined || given === null ? "" : JSON.stringify(given);
  const isLong = !isText || text.includes("\n") || text.length > 80;
  const box = make(isLong ? "textarea" : "input", { value: text });
  return [box, () => (isText ? box.value : readAny(box.value, text))];
}

/** JSON where it is some, else text. What was not touched is left to the node. */
function readAny(text, before) {
  if (text === before || text.trim() === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function hintOf(schema, data) {
  if (data.description) return data.description;
  if (schema.minimum !== undefined) return `${schema.minimum} to ${schema.maximum}`;
  if (schema.properties?.uri) return `Address of the ${schema.properties.type.enum[0]}`;
  return schema.type ? "" : "Text, or JSON";
}

function startRun() {
  const fields = [...$("fields").children].filter((field) => field.read);
  const params = Object.fromEntries(
    fields.map((field) => field.read()).filter(([, value]) => value !== undefined),
  );
  const request = { job_id: newId(), workflow_id: current.id, params };
  if (current.isUnsaved) request.graph = current.graph;
  history.pushState(null, "", `?job=${request.job_id}`);
  follow(newRun(request.job_id, request));
}

// --- The run

let run = null;

function newRun(id, request) {
  return {
    id,
    request, // until the server has said that it has it
    lastSeq: 0,
    status: "",
    error: "",
    startedAt: 0,
    duration: null,
    waitsForAnswer: false, // to pause, resume or cancel
    nodes: new Map(),
    changedNodes: new Set(),
    outputs: new Map(),
    events: [],
  };
}

function follow(newOne) {
  run = newOne;
  for (const id of ["outputs", "nodes", "event-list"]) $(id).replaceChildren();
  show("problem", "");
  $("run").hidden = false;
  connection.close();
  connection.want();
  draw();
}

/** Look away; the run itself goes on. */
function leaveRun() {
  connection.close();
  run = null;
  $("run").hidden = true;
}

async function followById(jobId) {
  current = null;
  $("workflow").hidden = true;
  follow(newRun(jobId, null));
  try {
    const job = await get(`/api/jobs/${encodeURIComponent(jobId)}`);
    if (job.workflow_id) await openWorkflow(job.workflow_id, job.params ?? {});
  } catch (error) {
    // Without a workflow there is no form. What is wrong with the job the socket says.
    if (error instanceof SignInNeeded) throw error;
  }
  draw();
}

function receive(message) {
  if (!run) return;
  if (!message.type) return receiveReply(message);
  if (message.job_id !== run.id) return;
  if (message.type === "replay_incomplete") {
    show("problem", `The events before number ${message.next_seq} are no longer kept.`);
    return;
  }
  if (message.job_seq !== undefined) {
    if (message.job_seq <= run.lastSeq) return;
    run.lastSeq = message.job_seq;
    run.startedAt ||= message.ts ?? 0;
    run.events.push(message);
    if (run.events.length > MAX_EVENTS) run.events.shift();
  }
  (handlers[message.type] ?? (() => {}))(message);
  draw();
}

function receiveReply(message) {
  if (message.job_id && message.job_id !== run.id) return;
  run.waitsForAnswer &&= !message.error;
  if (!message.error) {
    run.request = null;
  } else if (run.request) {
    Object.assign(run, { request: null, status: "failed", error: message.details ?? message.error });
    connection.rest();
  } else {
    show("problem", message.details ?? message.error);
  }
  draw();
}

const handlers = {
  job_update(message) {
    Object.assign(run, { status: message.status, waitsForAnswer: false });
    run.error = message.error ?? (message.status === "cancelled" ? (message.message ?? "") : "");
    run.duration = message.duration ?? null;
    if (LIVE.has(run.status)) return;
    connection.rest();
    for (const [name, values] of Object.entries(message.result?.outputs ?? {})) {
      // Only what the events, where some are no longer kept, did not tell.
      if (!run.outputs.has(name) && Array.isArray(values)) values.forEach((value) => addValue(name, value));
    }
  },
  node_update(message) {
    const node = nodeOf(message);
    node.status = message.status;
    node.error = message.error ?? "";
    node.hasEnded ||= message.status === "completed";
  },
  node_progress(message) {
    Object.assign(nodeOf(message), { progress: message.progress, total: message.total });
  },
  chunk(message) {
    if (message.node_id && message.content_type === "text") nodeOf(message).text.add(message.content);
  },
  log_update(message) {
    const node = nodeOf(message.node_id ? message : { node_id: "", node_name: "Log" });
    node.log.push({ text: message.content, severity: message.severity });
    if (node.log.length > MAX_LOG_LINES) node.log.shift();
  },
  output_update(message) {
    addValue(message.output_name, message.value, message.disposition === "append");
  },
  preview_update(message) {
    addValue(`${message.node_name || "Preview"} (preview)`, message.value);
  },
  save_update(message) {
    addValue(`${message.name} (saved)`, message.value);
  },
  notification(message) {
    handlers.log_update({ ...message, node_name: "" });
  },
  error(message) {
    run.waitsForAnswer = false;
    show("problem", message.message);
  },
};

function nodeOf({ node_id: id, node_name: name }) {
  let node = run.nodes.get(id);
  if (!node) {
    node = { name: name || id, status: "", error: "", progress: 0, total: 0, hasEnded: false, log: [] };
    node.text = new GrowingText();
    run.nodes.set(id, node);
  }
  run.changedNodes.add(node);
  return node;
}

function addValue(name, value, isAppended = false) {
  let output = run.outputs.get(name);
  if (!output) run.outputs.set(name, (output = { count: 0, open: null, waiting: [] }));
  const text = value?.type === "chunk" ? (value.content ?? "") : isAppended ? value : null;
  output.count += 1;
  if (typeof text !== "string") {
    output.open = null;
    output.waiting.push(value);
  } else {
    if (!output.open) output.waiting.push((output.open = new GrowingText()));
    output.open.add(text);
  }
  if (output.waiting.length > MAX_VALUES) output.waiting.shift();
}

// --- Drawing: once a frame, however many events have come

function drawRun() {
  const isLive = LIVE.has(run.status);
  $("job-id").textContent = run.id;
  const word = run.status || "waiting";
  if ($("status").textContent !== word) $("status").textContent = word;
  $("status").dataset.status = run.status;
  show("error", run.error);
  drawProgress(isLive);
  drawClock();
  const isBlocked = run.waitsForAnswer || !connection.isOpen;
  for (const [id, isFitting] of [
    ["pause", run.status === "running"],
    ["resume", run.status === "suspended"],
    ["cancel", isLive],
  ]) {
    $(id).hidden = !isFitting;
    $(id).disabled = isBlocked;
  }
  drawStream(isLive);
  drawNodes();
  drawOutputs();
  drawEvents();
}

function drawProgress(isLive) {
  const nodes = current?.graph.nodes.filter((node) => !node.type.startsWith("nodetool.input.")) ?? [];
  const total = Math.max(nodes.length, run.nodes.size);
  let done = 0;
  for (const node of run.nodes.values()) {
    if (node.hasEnded) done += 1;
    else if (node.total) done += node.progress / node.total;
  }
  const bar = $("progress");
  bar.dataset.status = run.status;
  if (run.status === "completed") bar.value = 1;
  else if (total && (done || !isLive)) bar.value = done / total;
  else if (isLive) bar.removeAttribute("value");
  else bar.value = 0;
}

function drawClock() {
  const isLive = LIVE.has(run.status);
  const seconds = run.duration ?? (isLive && run.startedAt ? Math.max(0, Date.now() / 1000 - run.startedAt) : null);
  if (seconds === null) $("clock").textContent = "";
  else $("clock").textContent = `${isLive ? Math.floor(seconds) : seconds.toFixed(2)} s`;
}

function drawStream(isLive) {
  const inputs = current ? streamsOf(current) : [];
  $("stream").hidden = !isLive || !inputs.length;
  const names = inputs.map((input) => input.name);
  const shown = [...$("stream-input").options].map((option) => option.value);
  if (names.join("\n") !== shown.join("\n")) {
    $("stream-input").replaceChildren(...names.map((name) => new Option(name, name)));
  }
}

function drawNodes() {
  for (const node of run.changedNodes) {
    if (!node.row) {
      node.badge = make("span", { className: "badge" });
      node.what = make("span", { className: "what" });
      node.row = make("li", {}, make("span", { className: "name", textContent: node.name }), node.badge, node.what);
      node.lines = make("div", { className: "log" });
      $("nodes").append(node.row);
    }
    node.badge.textContent = node.status;
    node.badge.dataset.status = node.status;
    node.what.textContent = node.error || (node.total ? `${node.progress} of ${node.total}` : "");
    if (!node.text.isEmpty) {
      node.text.draw();
      if (!node.text.element.isConnected) node.row.append(node.text.element);
    }
    if (node.log.length) {
      const lines = node.log.map(({ text, severity }) => make("div", { className: `log ${severity}`, textContent: text }));
      node.lines.replaceChildren(...lines);
      if (!node.lines.isConnected) node.row.append(node.lines);
    }
  }
  run.changedNodes.clear();
}

function drawOutputs() {
  $("no-outputs").hidden = run.outputs.size > 0;
  $("no-outputs").textContent = LIVE.has(run.status) ? "None yet." : "None.";
  for (const [name, output] of run.outputs) {
    if (!output.body) {
      output.title = make("dt");
      output.body = make("dd");
      $("outputs").append(make("div", {}, output.title, output.body));
    }
    for (const value of output.waiting) {
      if (value instanceof GrowingText) value.draw();
      output.body.append(value instanceof GrowingText ? value.element : valueElement(value));
    }
    output.waiting = [];
    output.open?.draw();
    while (output.body.childElementCount > MAX_VALUES) output.body.firstElementChild.remove();
    const isCut = !output.open && output.count > MAX_VALUES;
    output.title.textContent = isCut ? `${name} (the newest ${MAX_VALUES} of ${output.count})` : name;
  }
}

function drawEvents() {
  $("event-count").textContent = run.lastSeq ? `(${run.lastSeq})` : "";
  const list = $("event-list");
  if (!$("events").open) return;
  const shown = Number(list.lastElementChild?.dataset.seq ?? 0);
  const rows = run.events.filter((event) => event.job_seq > shown).map((event) => {
    const texts = [event.job_seq, event.type, summaryOf(event)];
    const row = make("li", {}, ...texts.map((text) => make("span", { textContent: text })));
    row.dataset.seq = event.job_seq;
    return row;
  });
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(...rows);
  while (list.childElementCount > MAX_EVENTS) list.firstElementChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

function summaryOf(event) {
  const name = event.node_name ?? event.edge_id ?? "";
  switch (event.type) {
    case "job_update":
      return [event.status, event.error ?? event.message].filter(Boolean).join(": ");
    case "node_update":
    case "edge_update":
      return [name, event.status, event.error ?? event.counter].filter((part) => part ?? "" !== "").join(" ");
    case "node_progress":
      return `${name} ${event.progress} of ${event.total}`;
    case "output_update":
      return `${event.output_name}: ${brief(event.value)}`;
    default:
      return `${name} ${brief(event.content ?? event.value ?? event.message ?? "")}`.trim();
  }
}

function brief(value) {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

// --- The page

async function open(address) {
  if (!examples.size) await loadLists();
  const jobId = address.get("job");
  if (jobId && run?.id === jobId) return;
  if (jobId) {
    await followById(jobId);
  } else {
    leaveRun();
    const first = workflows.has("hello") || examples.has("hello") ? "hello" : workflows.keys().next().value;
    const workflowId = address.get("workflow") ?? first;
    if (workflowId) await openWorkflow(workflowId);
  }
}

/** Also forget the lists: whoever comes next may be somebody else. */
function close() {
  leaveRun();
  examples.clear();
  workflows.clear();
  nextPage = "";
  current = null;
  $("workflow").hidden = true;
}

function command(name, data = {}) {
  if (connection.send(name, { job_id: run.id, ...data })) run.waitsForAnswer = name in BUTTONS;
  draw();
}

const BUTTONS = { pause_job: "pause", resume_job: "resume", cancel_job: "cancel" };
for (const [name, id] of Object.entries(BUTTONS)) $(id).onclick = () => command(name);

$("inputs").onsubmit = (event) => {
  event.preventDefault();
  startRun();
};
$("stream").onsubmit = (event) => {
  event.preventDefault();
  command("stream_input", { input: $("stream-input").value, value: $("stream-value").value });
  $("stream-value").value = "";
};
$("stream-end").onclick = () => command("end_input_stream", { input: $("stream-input").value });
$("filter").oninput = drawLists;
$("more").onclick = () => attempt(loadPage());
$("events").ontoggle = draw;
setInterval(() => run && drawClock(), 1000);
addView({ name: "runs", open, close });
