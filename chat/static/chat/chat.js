// The view of the chat: conversations with models and workflows.
//
// A conversation belongs to the server, and an answer that is being made is a job of it.
// Whatever becomes of the page or of the connection, the page reads what is stored and
// follows the job from its first event; when that has ended it reads again.

import { $, make, oncePerFrame, show } from "../nodetool_site/dom.js";
import { ask, get, newId, Unreachable } from "../nodetool_site/server.js";
import { addView, attempt, connect, go } from "../nodetool_site/shell.js";
import { chosen, loadChoices } from "./choices.js";
import { Answer, blocksOf, filesOf, Question } from "./messages.js";

const THREADS = 30; // conversations of one page
const MESSAGES = 100; // messages of one page
const NEAR_END = 80; // pixels from the end of the page where it follows what comes
const LAST_MS = 2_000; // how long after the last piece the whole answer may take
const SETTLING_MS = 1_000; // between two looks whether the end of an answer is stored
const MAX_READ_OUT = 500; // characters of an answer that a screen reader is told
const ENDED = new Set(["completed", "failed", "cancelled"]);
const UNTITLED = "New conversation";

const draw = oncePerFrame(() => drawConversation());
const connection = connect({
  onOpen: () => attempt(patiently(takeUp())),
  onMessage: (message) => receive(message),
  onState: draw,
});

// --- The list of conversations

const threads = new Map(); // id -> what the list shows of it
const rows = new Map(); // id -> its element
let nextThreads = "";

async function loadThreads() {
  const query = new URLSearchParams({ reverse: true, limit: THREADS, cursor: nextThreads });
  const page = await get(`/api/threads/?${query}`);
  for (const thread of page.threads) threads.set(thread.id, thread);
  nextThreads = page.next ?? "";
  drawThreads();
}

function drawThreads() {
  const newest = [...threads.values()].sort((one, other) => (one.created_at < other.created_at ? 1 : -1));
  const held = document.activeElement;
  $("chat-threads").replaceChildren(...newest.map(rowOf));
  if (held?.isConnected) held.focus();
  $("chat-more-threads").hidden = !nextThreads;
}

function rowOf({ id, title }) {
  let row = rows.get(id);
  if (!row) {
    row = make("li", {}, make("a", { href: `?thread=${encodeURIComponent(id)}` }));
    rows.set(id, row);
  }
  const link = row.firstElementChild;
  link.textContent = title || UNTITLED;
  if (id === conversation?.id) link.setAttribute("aria-current", "true");
  else link.removeAttribute("aria-current");
  return row;
}

// --- The conversation

let conversation = null;

function newConversation(id) {
  return { id, isStored: false, messages: new Map(), earlier: "", blocks: [], turn: null };
}

/**
 * What is being answered. `asked`: the message; it is to be sent while `isUnsent`, which
 * the server ends by saying that it has it. `known`: the ids of the messages before it.
 */
function newTurn(asked, known, jobId = "") {
  return {
    asked,
    known: new Set(known),
    jobId,
    isUnsent: !jobId,
    wasSent: false, // but nothing was heard of it
    search: null, // for a message that was sent
    isFollowed: false, // by the events of its job, else by the frames of the chat
    lastSeq: 0,
    isStopping: false,
    hasEnded: false,
    question: new Question(asked.content),
    answer: new Answer(asked),
  };
}

async function open(address) {
  const id = address.get("thread") ?? "";
  if (conversation && id && conversation.id === id) return;
  const isFirst = !conversation;
  leave();
  const mine = (conversation = newConversation(id));
  redraw([]);
  await Promise.all([isFirst && offerChoices(), isFirst && loadThreads(), id && recall(mine)]);
  drawThreads();
  scrollToEnd();
}

async function offerChoices() {
  await loadChoices();
  // Answers carry the names of the list.
  for (const block of conversation?.blocks ?? []) block.draw?.();
  draw();
}

/** Look away; an answer that is being made goes on, and a message that was not sent stays. */
function leave() {
  const turn = conversation?.turn;
  if (turn?.isUnsent && !turn.wasSent) $("chat-text").value ||= turn.asked.content;
  connection.close();
  conversation = null;
}

/** Also forget the list: whoever comes next may be somebody else. */
function close() {
  leave();
  threads.clear();
  rows.clear();
  nextThreads = "";
}

/** Read a conversation as it is stored, and follow the answer that is being made. */
async function recall(mine) {
  const path = encodeURIComponent(mine.id);
  const query = new URLSearchParams({ thread_id: mine.id, limit: MESSAGES, reverse: true });
  let thread, page;
  try {
    // In this order: what ends in between is read with the messages.
    thread = await get(`/api/threads/${path}`);
    page = await get(`/api/messages/?${query}`);
  } catch (error) {
    if (error.status === 404) forget(mine);
    throw error;
  }
  if (mine !== conversation) return;
  mine.isStored = true;
  threads.set(thread.id, thread);
  if (!mine.messages.size) mine.earlier = page.next ?? "";
  for (const message of page.messages.reverse()) mine.messages.set(message.id, message);
  settle(mine, thread.job_id);
  drawThreads();
}

/** Somebody has deleted it. What was said stays to be seen; nothing more is to come. */
function forget(mine) {
  threads.delete(mine.id);
  rows.delete(mine.id);
  drawThreads();
  mine.isStored = false;
  mine.turn = null;
  if (mine !== conversation) return;
  connection.rest();
  redraw(mine.blocks);
}

function settle(mine, jobId) {
  const stored = [...mine.messages.values()];
  if (jobId && mine.turn?.jobId !== jobId) {
    const last = stored.findLastIndex((message) => message.role === "user");
    const known = stored.slice(0, last).map((message) => message.id);
    mine.turn = newTurn(stored[last] ?? {}, known, jobId);
  }
  if (!jobId) mine.turn = null;
  redraw(blocksNow(mine));
  if (!jobId) connection.rest();
  else if (mine.turn.hasEnded) setTimeout(() => mine === conversation && attempt(patiently(recall(mine))), SETTLING_MS);
  else connection.want();
}

const isForWorkflow = (message) =>
  Boolean(message.workflow_id) || message.workflow_target === "workflow" || Boolean(message.model?.startsWith("workflow:"));

/** The blocks to show. What is stored of an answer already comes again with its events. */
function blocksNow({ messages, turn }) {
  const stored = [...messages.values()];
  if (!turn) return blocksOf(stored);
  const before = blocksOf(stored.filter((message) => turn.known.has(message.id)));
  return [...before, turn.question, turn.answer];
}

async function loadEarlier() {
  const mine = conversation;
  const query = new URLSearchParams({ thread_id: mine.id, limit: MESSAGES, reverse: true, cursor: mine.earlier });
  const page = await get(`/api/messages/?${query}`);
  if (mine !== conversation) return;
  mine.earlier = page.next ?? "";
  const before = page.messages.reverse().map((message) => [message.id, message]);
  mine.messages = new Map([...before, ...mine.messages]);
  for (const [id] of before) mine.turn?.known.add(id);
  const blocks = blocksNow(mine);
  redraw(blocks, blocks.length - mine.blocks.length);
}

// --- Saying something

function say() {
  const content = $("chat-text").value;
  const target = chosen();
  if (!content.trim() || !target || conversation.turn) return;
  if (!conversation.id) {
    conversation.id = newId();
    history.pushState(null, "", `?thread=${conversation.id}`);
  }
  const asked = { id: newId(), thread_id: conversation.id, role: "user", content, ...target };
  conversation.turn = newTurn(asked, conversation.messages.keys());
  $("chat-text").value = "";
  $("chat-text").focus();
  $("chat-said").textContent = "Waiting for the answer";
  redraw(blocksNow(conversation));
  drawConversation(); // now: a second message must not be sent before the next frame
  scrollToEnd();
  connection.want();
}

/** With a connection that is new: go on where the last one broke. */
async function takeUp() {
  const mine = conversation;
  const turn = mine?.turn;
  if (!turn) return;
  if (turn.hasEnded) await recall(mine);
  else if (!turn.isUnsent) followFromStart(mine, turn);
  else send(turn);
  draw();
}

/** Say it, perhaps again: by its id the server knows a message that it has. */
function send(turn) {
  turn.wasSent = connection.send("chat_message", turn.asked) || turn.wasSent;
}

/** Wait for something that is done again with the next connection if it fails now. */
async function patiently(work) {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof Unreachable) || !conversation?.turn) throw error;
    connection.again();
  }
}

function followFromStart(mine, turn) {
  Object.assign(turn, { answer: new Answer(turn.asked), isFollowed: true, lastSeq: 0 });
  redraw(blocksNow(mine));
  connection.send("reconnect_job", { job_id: turn.jobId, last_seq: 0 });
}

function stop() {
  const { id, turn } = conversation;
  if (turn.isUnsent && !turn.wasSent) takeBack(conversation, turn);
  else turn.isStopping = connection.send("stop", { thread_id: id });
  $("chat-text").focus();
  draw();
}

// --- What the server says

function receive(message) {
  const mine = conversation;
  const turn = mine?.turn;
  if (!turn) return;
  if (!message.type) receiveReply(mine, turn, message);
  else if (turn.isFollowed) receiveEvent(mine, turn, message);
  else receiveFrame(mine, turn, message);
  draw();
}

function receiveReply(mine, turn, message) {
  if (message.thread_id !== undefined && message.thread_id !== mine.id) return;
  if (message.error) {
    if (turn.isUnsent) takeBack(mine, turn);
    turn.isStopping = false;
    show("problem", message.details ?? message.error);
  } else if (turn.isUnsent && message.job_id) {
    Object.assign(turn, { isUnsent: false, jobId: message.job_id });
    attempt(readTitle(mine));
  }
}

/** A message that the server has not taken goes back to where it was written. */
function takeBack(mine, turn) {
  $("chat-text").value ||= turn.asked.content;
  $("chat-said").textContent = "";
  mine.turn = null;
  connection.rest();
  redraw(blocksNow(mine));
  if (mine.isStored) return;
  mine.id = "";
  history.replaceState(null, "", "?chat");
}

async function readTitle(mine) {
  const thread = await get(`/api/threads/${encodeURIComponent(mine.id)}`);
  mine.isStored = true;
  threads.set(thread.id, thread);
  drawThreads();
  draw();
}

/** A frame of the chat: the turn was begun on this connection. */
function receiveFrame(mine, turn, frame) {
  if (frame.type === "output_update" && frame.job_id === turn.jobId) turn.answer.addFiles(filesOf(frame.value));
  if (frame.thread_id !== mine.id) return;
  turn.answer.take(frame);
  const isAnswer = frame.type === "message" && frame.role === "assistant" && !frame.tool_calls?.length;
  const isLast = frame.type === "chunk" && frame.done;
  if (isAnswer || frame.type === "generation_stopped") end(mine, turn);
  else if (isLast) setTimeout(() => end(mine, turn), turn.answer.problem ? 0 : LAST_MS);
}

/** An event of the job that makes the answer. */
function receiveEvent(mine, turn, event) {
  if (event.job_id !== turn.jobId) return;
  if (event.job_seq !== undefined) {
    if (event.job_seq <= turn.lastSeq) return;
    turn.lastSeq = event.job_seq;
  }
  if (isForWorkflow(turn.asked) || event.type !== "output_update") turn.answer.take(event);
  if (event.type !== "job_update" || !ENDED.has(event.status)) return;
  turn.answer.problem ||= event.status === "failed" ? event.error : "";
  end(mine, turn);
}

/** Nothing more is said. What is stored is the truth. */
function end(mine, turn) {
  if (mine !== conversation || mine.turn !== turn || turn.hasEnded) return;
  turn.hasEnded = true;
  const { problem, text } = turn.answer;
  $("chat-said").textContent = problem ? `No answer: ${problem}` : `Answer: ${text.slice(0, MAX_READ_OUT)}`;
  attempt(patiently(recall(mine)));
}

// --- Drawing

/**
 * Show these blocks. Those that say what was shown in their place stay as they are, with
 * what is selected and opened in them; `before`: how many of them are new at the top.
 */
function redraw(blocks, before = 0) {
  const shown = conversation.blocks;
  const next = blocks.map((block, index) => {
    const old = shown[index - before];
    return old?.constructor === block.constructor && old.said === block.said && block !== conversation.turn?.answer ? old : block;
  });
  const log = $("chat-log");
  next.forEach((block, index) => {
    if (block.element !== log.children[index]) log.insertBefore(block.element, log.children[index] ?? null);
  });
  while (log.childElementCount > next.length) log.lastElementChild.remove();
  conversation.blocks = next;
  for (const block of next) {
    if (!(block instanceof Answer)) continue;
    block.isLive = block === conversation.turn?.answer;
    block.draw();
  }
  draw();
}

function drawConversation() {
  if (!conversation) return;
  const { id, blocks, turn, earlier, isStored } = conversation;
  const isFollowing = isAtEnd();
  turn?.answer.draw();
  $("chat-title").textContent = threads.get(id)?.title || UNTITLED;
  $("chat-rename").hidden = $("chat-delete").hidden = !isStored;
  $("chat-empty").hidden = blocks.length > 0 || Boolean(id);
  $("chat-earlier").hidden = !earlier;
  $("chat-stop").hidden = !turn;
  $("chat-stop").disabled = !turn || turn.isStopping || (turn.isUnsent ? turn.wasSent : !connection.isOpen);
  $("chat-send").hidden = Boolean(turn);
  $("chat-send").disabled = !chosen();
  if (turn && isFollowing) scrollToEnd();
}

const page = document.scrollingElement;
const isAtEnd = () => page.scrollHeight - page.scrollTop - page.clientHeight < NEAR_END;
const scrollToEnd = () => page.scrollTo(0, page.scrollHeight);

// --- Renaming and deleting

/** Ask in a dialog; whether the answer was yes. */
function agreed(dialog) {
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

async function rename() {
  const { id } = conversation;
  $("chat-new-title").value = threads.get(id).title;
  if (!(await agreed($("chat-rename-dialog")))) return;
  const thread = await ask("PUT", `/api/threads/${encodeURIComponent(id)}`, { title: $("chat-new-title").value.trim() });
  threads.set(id, { ...threads.get(id), ...thread });
  drawThreads();
  draw();
}

async function remove() {
  const { id } = conversation;
  if (!(await agreed($("chat-delete-dialog")))) return;
  await ask("DELETE", `/api/threads/${encodeURIComponent(id)}`);
  threads.delete(id);
  rows.delete(id);
  go("?chat");
}

// --- The page

$("chat-form").onsubmit = (event) => {
  event.preventDefault();
  say();
};
$("chat-text").onkeydown = (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  say();
};
$("chat-stop").onclick = stop;
$("chat-rename").onclick = () => attempt(rename());
$("chat-delete").onclick = () => attempt(remove());
$("chat-earlier").onclick = () => attempt(loadEarlier());
$("chat-more-threads").onclick = () => attempt(loadThreads());
// A key may have been stored meanwhile, in a terminal.
addEventListener("focus", () => conversation && attempt(offerChoices()));
addView({
  name: "chat",
  fits: (address) => address.has("chat") || address.has("thread"),
  open,
  close,
});
