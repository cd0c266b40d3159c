// The official client for Node, used as its manual says: node journeys.mjs BASE_URL KEY NAME...
// Prints one JSON object: what each journey returned, or the error that it ended with.

import OpenAI from "openai";

const [baseURL, apiKey, ...names] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const hello = [{ role: "user", content: "Hello, whoever is there!" }];
const pixel =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const add = {
  name: "add",
  description: "Adds two numbers.",
  parameters: {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
  },
};

// What the model `fake/scripted` has to say, an answer after the other.
const script = (...steps) => [{ role: "user", content: JSON.stringify(steps) }];
const adding = script(
  { tool_calls: [{ name: "add", arguments: { a: 1, b: 22 } }] },
  { text: "It is 23." },
);
const failing = (error) => ({
  model: "fake/scripted",
  messages: script({ text: "x".repeat(30), error }),
});

const journeys = {
  async chat() {
    return await client.chat.completions.create({ model: "fake/echo", messages: hello });
  },

  async stream() {
    const stream = await client.chat.completions.create({
      model: "fake/echo",
      messages: hello,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    return chunks;
  },

  async stream_helper() {
    const runner = client.chat.completions.stream({ model: "fake/echo", messages: hello });
    const deltas = [];
    runner.on("content", (delta) => deltas.push(delta));
    return { deltas, text: await runner.finalContent(), all: await runner.finalChatCompletion() };
  },

  async leaving_a_stream() {
    const stream = await client.chat.completions.create({
      model: "fake/scripted",
      messages: script({ text: "x".repeat(100), delay_s: 0.05 }),
      stream: true,
    });
    let count = 0;
    for await (const chunk of stream) {
      count += chunk.choices[0].delta.content ? 1 : 0;
      if (count === 2) break;
    }
    return { count, aborted: stream.controller.signal.aborted };
  },

  async tools() {
    const asked = { model: "fake/scripted", tools: [{ type: "function", function: add }] };
    const first = await client.chat.completions.create({ ...asked, messages: adding });
    const message = first.choices[0].message;
    const call = message.tool_calls[0];
    const { a, b } = JSON.parse(call.function.arguments);
    const result = { role: "tool", tool_call_id: call.id, content: String(a + b) };
    const messages = [...adding, message, result];
    const second = await client.chat.completions.create({ ...asked, messages });
    return { first, second };
  },

  async tools_run_by_the_client() {
    const called = [];
    const sum = ({ a, b }) => {
      called.push([a, b]);
      return String(a + b);
    };
    const tool = { ...add, function: sum, parse: JSON.parse };
    const runner = client.chat.completions.runTools({
      model: "fake/scripted",
      messages: adding,
      tools: [{ type: "function", function: tool }],
      stream: true,
    });
    return { called, text: await runner.finalContent() };
  },

  async structured() {
    const schema = {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
      additionalProperties: false,
    };
    const completion = await client.chat.completions.parse({
      model: "fake/scripted",
      messages: script({ text: '{"city": "東京"}' }),
      response_format: { type: "json_schema", json_schema: { name: "place", schema, strict: true } },
    });
    return completion.choices[0].message.parsed;
  },

  async image() {
    return await client.chat.completions.create({
      model: "openai/gpt-4o",
      messages: [
        {
          role: "user",
          content: [
            { type: "text", text: "What is this?" },
            { type: "image_url", image_url: { url: pixel, detail: "low" } },
          ],
        },
      ],
    });
  },

  async models() {
    const listed = [];
    for await (const model of client.models.list()) listed.push(model);
    return { listed, one: await client.models.retrieve("fake/echo") };
  },

  bad_request: () =>
    client.chat.completions.create({ model: "fake/echo", messages: hello, temperature: 3 }),
  not_found: () => client.chat.completions.create({ model: "no-such-model", messages: hello, stream: true }),
  no_such_model: () => client.models.retrieve("no/such:model"),
  limited: () => client.chat.completions.create(failing({ status: 429, retry_after_s: 7 })),
  fault: () => client.chat.completions.create(failing({ status: 500 })),

  async fault_in_the_stream() {
    const asked = { ...failing({ status: 500, after: 2, message: "it broke" }), stream: true };
    for await (const _ of await client.chat.completions.create(asked));
  },
};

function described(error) {
  if (!(error instanceof OpenAI.APIError)) throw error;
  const { status, code, param, type, message, requestID } = error;
  const retryAfter = error.headers?.get("retry-after");
  return { class: error.constructor.name, status, code, param, type, message, requestID, retryAfter };
}

const told = {};
for (const name of names) {
  told[name] = await journeys[name]().then(
    (value) => ({ value }),
    (error) => ({ error: described(error) }),
  );
}
console.log(JSON.stringify(told));
