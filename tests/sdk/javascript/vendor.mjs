// A vendor played by a server of ours, in each of the dialects that vendors speak. Its model is a small agent: asked with
// tools, it thinks, says that it looks, and calls one; given the result, it answers. It seals its thoughts, and tells
// whether a conversation has brought the seal back. As Gemini it refuses a call without any.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';

/** Where the gateway looks for the vendor, if the gateway under test was told of one. */
export const vendorAddress = process.env.HEARTH_PLAYED_VENDOR;

/** The gateway's providers that lead to it, by the dialect that each speaks. */
export const VENDORS = {
  chat: 'played:agent',
  responses: 'played_responses:agent',
  messages: 'played_messages:claude-agent',
  gemini: 'played_gemini:gemini-3-agent',
};

const SEAL = 'c2VhbGVk';
export const THOUGHT = 'Hm, I should look.';
export const LOOKS = 'Let me look.';

/** What the agent says once it has the result of its call. */
export const found = (result) => `I found: ${result}`;

const frames = (events, name = () => null) =>
  events
    .map((event) => {
      const type = name(event);
      return `${type ? `event: ${type}\n` : ''}data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`;
    })
    .join('');

/** The names of a shell among the clients' tools, and the arguments that each takes. */
const SHELLS = {
  exec_command: (command) => ({ cmd: command }),
  exec: (command) => ({ input: command }),
  run_shell_command: (command) => ({ command, description: 'Runs the command.' }),
};

const shellOf = (name) => Object.keys(SHELLS).find((shell) => name.endsWith(shell));

/** The arguments of a call: those that the clients' tools in these tests take. */
const argumentsOf = (name, command) => SHELLS[shellOf(name)]?.(command) ?? { city: 'Paris' };

/** Which of the tools to call: a shell if there is one. */
const pick = (names) =>
  Object.keys(SHELLS)
    .map((shell) => names.find((name) => name.endsWith(shell)))
    .find(Boolean) ?? names[0];

/** What a result says, by the name that each client has for it. */
const resultOf = ({ result, error, content, output }) => result ?? error ?? content ?? output;

/** The calls of a conversation in Gemini's dialect. */
const calls = ({ contents }) => contents.flatMap(({ parts }) => parts).filter(({ functionCall }) => functionCall);

const DIALECTS = {
  chat: {
    path: /^\/v1\/chat\/completions$/,
    read(body) {
      const last = body.messages.at(-1);
      return {
        result: last.role === 'tool' ? last.content : undefined,
        tools: (body.tools ?? []).map((tool) => tool.function.name),
        schema: body.response_format?.json_schema?.schema,
      };
    },
    sealed: () => true,
    write({ thought, text, call, model }) {
      const chunk = (delta, finish_reason = null) => ({
        id: 'c1', object: 'chat.completion.chunk', created: 1, model, choices: [{ index: 0, delta, finish_reason }],
      });
      const called = call && {
        tool_calls: [
          { index: 0, id: call.id, type: 'function', function: { name: call.name, arguments: JSON.stringify(call.input) } },
        ],
      };
      const usage = { choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } };
      return frames([
        ...(thought ? [chunk({ reasoning_content: thought })] : []),
        chunk({ content: text }),
        ...(called ? [chunk(called)] : []),
        chunk({}, call ? 'tool_calls' : 'stop'),
        usage,
        '[DONE]',
      ]);
    },
  },
  responses: {
    path: /^\/v1\/responses$/,
    read(body) {
      const last = body.input.at(-1);
      const output = last.output;
      const text = Array.isArray(output) ? output.map((part) => part.text).join('') : output;
      return {
        result: last.type === 'function_call_output' ? text : undefined,
        tools: (body.tools ?? []).filter((tool) => tool.type === 'function').map((tool) => tool.name),
        hosted: (body.tools ?? []).filter((tool) => tool.type !== 'function').map((tool) => tool.type),
        schema: body.text?.format?.schema,
      };
    },
    sealed: (body) => body.input.some((item) => item.type === 'reasoning' && item.encrypted_content === SEAL),
    write({ thought, text, call }) {
      const items = [
        ...(thought
          ? [{ type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: thought }], encrypted_content: SEAL }]
          : []),
        { type: 'message', id: 'msg_1', role: 'assistant', content: [{ type: 'output_text', text, annotations: [] }] },
        ...(call
          ? [{ type: 'function_call', id: 'fc_1', call_id: call.id, name: call.name, arguments: JSON.stringify(call.input) }]
          : []),
      ];
      const usage = { input_tokens: 7, output_tokens: 3, total_tokens: 10 };
      const events = items.flatMap((item, output_index) => [
        { type: 'response.output_item.added', output_index, item: { ...item, summary: [], content: [], arguments: '', encrypted_content: null } },
        ...(item.type === 'message' ? [{ type: 'response.output_text.delta', output_index, delta: text }] : []),
        ...(item.type === 'reasoning'
          ? [{ type: 'response.reasoning_summary_text.delta', output_index, summary_index: 0, delta: thought }]
          : []),
        ...(item.type === 'function_call'
          ? [{ type: 'response.function_call_arguments.delta', output_index, delta: item.arguments }]
          : []),
        { type: 'response.output_item.done', output_index, item },
      ]);
      const response = { id: 'resp_1', object: 'response', status: 'completed', output: items, usage };
      return frames(
        [{ type: 'response.created', response: { ...response, output: [] } }, ...events, { type: 'response.completed', response }],
        (event) => event.type,
      );
    },
  },
  messages: {
    path: /^\/v1\/messages$/,
    read(body) {
      const blocks = body.messages.at(-1).content;
      const result = Array.isArray(blocks) && blocks.find((block) => block.type === 'tool_result');
      const text = result && (typeof result.content === 'string' ? result.content : result.content.map((part) => part.text).join(''));
      return {
        result: result ? text : undefined,
        tools: (body.tools ?? []).filter((tool) => tool.input_schema).map((tool) => tool.name),
        schema: body.output_config?.format?.schema,
      };
    },
    sealed: (body) =>
      body.messages.some(({ content }) => Array.isArray(content) && content.some(({ signature }) => signature === SEAL)),
    write({ thought, text, call, model }) {
      const blocks = [
        ...(thought ? [[{ type: 'thinking', thinking: '', signature: '' }, { type: 'thinking_delta', thinking: thought }, { type: 'signature_delta', signature: SEAL }]] : []),
        [{ type: 'text', text: '' }, { type: 'text_delta', text }],
        ...(call
          ? [[{ type: 'tool_use', id: call.id, name: call.name, input: {} }, { type: 'input_json_delta', partial_json: JSON.stringify(call.input) }]]
          : []),
      ];
      const message = { id: 'msg_1', type: 'message', role: 'assistant', model, content: [], usage: { input_tokens: 7, output_tokens: 1 } };
      return frames(
        [
          { type: 'message_start', message },
          ...blocks.flatMap(([content_block, ...deltas], index) => [
            { type: 'content_block_start', index, content_block },
            ...deltas.map((delta) => ({ type: 'content_block_delta', index, delta })),
            { type: 'content_block_stop', index },
          ]),
          { type: 'message_delta', delta: { stop_reason: call ? 'tool_use' : 'end_turn' }, usage: { output_tokens: 3 } },
          { type: 'message_stop' },
        ],
        (event) => event.type,
      );
    },
  },
  gemini: {
    path: /^\/v1beta\/models\/[^/]+:(streamG|g)enerateContent/,
    read(body) {
      const response = body.contents.at(-1).parts.find((part) => part.functionResponse)?.functionResponse;
      return {
        result: response && String(resultOf(response.response)),
        tools: (body.tools ?? []).flatMap((tool) => (tool.functionDeclarations ?? []).map(({ name }) => name)),
        schema: body.generationConfig?.responseJsonSchema ?? body.generationConfig?.responseSchema,
      };
    },
    sealed: (body) => calls(body).every(({ thoughtSignature }) => thoughtSignature === SEAL),
    refuses: (body) => calls(body).some(({ thoughtSignature }) => !thoughtSignature),
    write({ text, call }) {
      const chunk = (part, finishReason) => ({
        candidates: [{ index: 0, content: { role: 'model', parts: [part] }, finishReason }],
        usageMetadata: { promptTokenCount: 7, candidatesTokenCount: 3, totalTokenCount: 10 },
      });
      // Its seal is on the call, behind the text.
      const called = call && { functionCall: { name: call.name, args: call.input }, thoughtSignature: SEAL };
      return frames([chunk({ text }, call ? undefined : 'STOP'), ...(call ? [chunk(called, 'STOP')] : [])]);
    },
  },
};

/** A vendor that runs: `asked` has the bodies that came, newest last, each with the dialect that it was in. */
export async function play({ command = 'true' } = {}) {
  assert.ok(vendorAddress, 'set HEARTH_PLAYED_VENDOR (see tests/sdk/README.md)');
  const asked = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const entry = Object.entries(DIALECTS).find(([, dialect]) => dialect.path.test(request.url));
    if (request.method !== 'POST' || !entry) {
      response.writeHead(404, { 'content-type': 'application/json' }).end('{"error":{"message":"no such page"}}');
      return;
    }
    const [name, dialect] = entry;
    const body = JSON.parse(Buffer.concat(chunks).toString());
    asked.push({ dialect: name, body });
    if (dialect.refuses?.(body)) {
      const error = { code: 400, message: 'the seal of an earlier call is missing', status: 'INVALID_ARGUMENT' };
      response.writeHead(400, { 'content-type': 'application/json' }).end(JSON.stringify({ error }));
      return;
    }
    const { result, tools, schema } = dialect.read(body);
    const name_ = result === undefined ? pick(tools) : undefined;
    const call = name_ && { id: `call_${asked.length}`, name: name_, input: argumentsOf(name_, command) };
    const says = schema ? JSON.stringify({ answer: 'sunny' }) : result === undefined ? LOOKS : found(result);
    const answer = { thought: call ? THOUGHT : '', text: call ? LOOKS : says, call, model: body.model };
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(dialect.write(answer));
  });
  const [host, port] = vendorAddress.split(':');
  server.listen(Number(port), host);
  await once(server, 'listening');
  return {
    asked,
    read: ({ dialect, body }) => DIALECTS[dialect].read(body),
    /** Whether what came last has the seal of the call before it. */
    sealed() {
      const { dialect, body } = asked.at(-1);
      return DIALECTS[dialect].sealed(body);
    },
    async stop() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
