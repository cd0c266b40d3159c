// Who may answer: models of every provider and workflows in one list. The choice is kept
// until the tab is closed.

import { $, make } from "../nodetool_site/dom.js";
import { get } from "../nodetool_site/server.js";

const CHOICE = "nodetool.answered-by";
const WORKFLOW = "workflow:";
const MAX_WORKFLOWS = 100;
const TEXT_NAMES = ["message", "chat_input", "prompt"];
const OFFLINE = "fake";

let drawn = "";

/** Ask what there is now, and draw the list if that has changed. */
export async function loadChoices() {
  const columns = "id,name,input_schema,output_schema";
  const [models, providers, workflows] = await Promise.all([
    get("/v1/models"),
    get("/api/models/providers?all=true"),
    get(`/api/workflows/?limit=${MAX_WORKFLOWS}&columns=${columns}`),
  ]);
  const found = JSON.stringify([models.data, providers, workflows.workflows]);
  if (found === drawn) return;
  drawn = found;
  draw(models.data, providers, workflows.workflows);
}

/** What a message must name so that the chosen one answers; null if nobody can. */
export function chosen() {
  const value = $("chat-model").value;
  if (!value) return null;
  return value.startsWith(WORKFLOW) ? { workflow_id: value.slice(WORKFLOW.length) } : { model: value };
}

/** The name of the one whom a message names. */
export function nameOf({ model, workflow_id: workflow }) {
  const value = workflow ? WORKFLOW + workflow : (model ?? "");
  const option = [...$("chat-model").options].find((one) => one.value === value);
  return option?.textContent ?? workflow ?? model ?? "";
}

/** The usable models by provider, the default one first. */
function byProvider(models, providers) {
  // What answers without a model is never what somebody wants who has one.
  const order = [...providers].sort((one, other) => (one.provider === OFFLINE) - (other.provider === OFFLINE));
  return order
    .map(({ provider, title }) => [title, models.filter((model) => model.owned_by === provider)])
    .filter(([, offered]) => offered.length);
}

/** The names of the workflows that can answer, by the value of their entry. */
function namesOf(models, workflows) {
  const names = new Map(workflows.map(({ id, name }) => [WORKFLOW + id, name]));
  const listed = models.map((model) => model.id).filter((id) => id.startsWith(WORKFLOW));
  const fitting = workflows.filter(canAnswer).map(({ id }) => WORKFLOW + id);
  return [...new Set([...listed, ...fitting])].map((value) => [value, names.get(value) || value.slice(WORKFLOW.length)]);
}

/** Whether a workflow takes one text and gives something. */
function canAnswer({ input_schema: input, output_schema: output }) {
  const texts = Object.entries(input?.properties ?? {}).filter(([, schema]) => schema.type === "string");
  const isClear = texts.length === 1 || texts.some(([name]) => TEXT_NAMES.includes(name));
  return isClear && Object.keys(output?.properties ?? {}).length > 0;
}

function draw(models, providers, workflows) {
  const list = $("chat-model");
  const wanted = list.value || sessionStorage.getItem(CHOICE);
  const groups = byProvider(models, providers);
  const lacking = providers.filter((provider) => provider.missing_secret);
  list.replaceChildren(
    ...groups.map(([title, offered]) => groupOf(title, offered.map(({ id }) => new Option(id, id)))),
    ...groupOfSome("Workflows", namesOf(models, workflows).map(([value, name]) => new Option(name, value))),
    ...groupOfSome("To use these: nodetool secrets store NAME", lacking.map(missing)),
  );
  const values = [...list.options].filter((option) => !option.disabled).map((option) => option.value);
  list.value = values.includes(wanted) ? wanted : (newest(groups) ?? values[0] ?? "");
  tellHow(lacking, models);
}

const groupOf = (label, options) => make("optgroup", { label }, ...options);
const groupOfSome = (label, options) => (options.length ? [groupOf(label, options)] : []);
const missing = ({ title, missing_secret: secret }) =>
  Object.assign(new Option(`${title} needs the secret ${secret}`, ""), { disabled: true });

/** The newest model of the first provider: most lists begin with what is out of date. */
function newest([[, offered] = ["", []]]) {
  const ages = [...offered].sort((one, other) => other.created - one.created);
  return ages[0]?.id;
}

/** Say what to do for real models, where there are none but the offline ones. */
function tellHow(lacking, models) {
  $("chat-how").hidden = models.some((model) => model.owned_by !== OFFLINE && !model.id.startsWith(WORKFLOW)) || !lacking.length;
  if (!lacking.length) return;
  const how = make("code", { textContent: `nodetool secrets store ${lacking[0].missing_secret}` });
  $("chat-how").replaceChildren("The offline models only recite and repeat. For real ones store the key of a provider, for example with ", how, ".");
}

$("chat-model").onchange = () => sessionStorage.setItem(CHOICE, $("chat-model").value);
