// Responses: whole, in events, and going on from one another.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { BadRequestError, NotFoundError } from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';

import { client, collect, model, rejection } from './gateway.mjs';

const QUESTION = 'What is the capital of France?';
const IN_PARIS = 'What is the weather in Paris?';
const WEATHER = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the weather for a city',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  },
  strict: false,
};
const RESULT = '{"temperature":21,"condition":"sunny"}';

/** The parameters of one input, greedy unless the test says otherwise. */
const asking = (input, parameters = {}) => ({ model, input, temperature: 0, ...parameters });

const ask = (input, parameters) => client.responses.create(asking(input, parameters));

const callsOf = (response) => response.output.filter((item) => item.type === 'function_call');

test('a question is answered', async () => {
  const response = await ask(QUESTION, { metadata: { for: 'a test' } });

  assert.deepEqual([response.object, response.status], ['response', 'completed']);
  assert.match(response.output_text, /Paris/);
  assert.deepEqual(response.metadata, { for: 'a test' });
  const { input_tokens, output_tokens, total_tokens } = response.usage;
  assert.equal(total_tokens, input_tokens + output_tokens);
});

test('what was asked for is told again, and what holds of the rest', async () => {
  const asked = await ask(QUESTION, { temperature: 0.7, prompt_cache_key: 'tests' });
  const left = await client.responses.create({ model, input: 'Hello!', max_output_tokens: 20 });

  assert.deepEqual([asked.temperature, asked.prompt_cache_key], [0.7, 'tests']);
  assert.equal(typeof left.temperature, 'number');
  assert.equal(typeof left.top_p, 'number');
  assert.equal(left.service_tier, 'default');
});

test('a cut answer is incomplete', async () => {
  const response = await ask(QUESTION, { max_output_tokens: 1 });

  assert.equal(response.status, 'incomplete');
  assert.equal(response.incomplete_details.reason, 'max_output_tokens');
});

test('the events add up to the response', async () => {
  const events = await collect(await ask(QUESTION, { stream: true }));
  const last = events.at(-1);

  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  );
  assert.deepEqual([events[0].type, last.type], ['response.created', 'response.completed']);
  const pieces = events.filter((event) => event.type === 'response.output_text.delta');
  const text = pieces.map((event) => event.delta).join('');
  assert.equal(text, last.response.output[0].content[0].text);
  assert.equal(text, (await ask(QUESTION)).output_text);
});

describe('the helpers of the SDK', () => {
  test('stream puts a call together', async () => {
    const stream = client.responses.stream(asking(IN_PARIS, { tools: [WEATHER] }));
    const [call] = callsOf(await stream.finalResponse());

    assert.deepEqual(JSON.parse(call.arguments), { city: 'Paris' });
  });

  test('parse gives an object of the schema', async () => {
    const person = z.object({ name: z.string(), age: z.number().int() });
    const response = await client.responses.parse(
      asking('Give me JSON with name and age for Ada.', {
        text: { format: zodTextFormat(person, 'person') },
      }),
    );

    assert.deepEqual(response.output_parsed, { name: 'Ada', age: 36 });
  });
});

for (const store of [true, false]) {
  test(`the result of a call is used, store ${store}`, async () => {
    const first = await ask(IN_PARIS, { tools: [WEATHER], store });
    const [call] = callsOf(first);
    const result = { type: 'function_call_output', call_id: call.call_id, output: RESULT };
    const parameters = { tools: [WEATHER], store };
    const second = store
      ? await ask([result], { ...parameters, previous_response_id: first.id })
      : await ask([{ role: 'user', content: IN_PARIS }, ...first.output, result], parameters);

    assert.equal(second.output_text, 'It is sunny and 21 degrees in Paris.');
  });
}

for (const tool_choice of ['required', { type: 'function', name: 'get_weather' }]) {
  test(`a call can be demanded: ${JSON.stringify(tool_choice)}`, async () => {
    const response = await ask('Hello!', {
      tools: [WEATHER],
      tool_choice,
      max_output_tokens: 200,
    });
    const calls = callsOf(response);

    assert.ok(calls.length > 0);
    assert.ok(calls.every((call) => call.name === 'get_weather'));
  });
}

test('the input of a stored response is listed', async () => {
  const response = await ask(QUESTION);
  const include = ['message.input_image.image_url', 'reasoning.encrypted_content'];
  const items = [];
  for await (const item of client.responses.inputItems.list(response.id, { include, limit: 1 })) {
    items.push(item);
  }

  assert.deepEqual(items.map(({ role, content }) => [role, content[0].text]), [['user', QUESTION]]);
});

test('a stored response is read and deleted', async () => {
  const response = await ask(QUESTION);
  const again = await client.responses.retrieve(response.id);

  assert.equal(again.output_text, response.output_text);
  await client.responses.delete(response.id);
  await rejection(client.responses.retrieve(response.id), NotFoundError);
});

const BAD = [
  [{ tools: [{ type: 'image_generation' }] }, 'tools'],
  [{ tools: [{ type: 'web_search' }], tool_choice: { type: 'web_search' } }, 'tools'],
  [{ temperature: 9 }, 'temperature'],
  [{ text: { format: { type: 'json_schema', name: 'none' } } }, 'text.format.schema'],
  [{ tool_choice: 'required' }, 'tool_choice'],
];
for (const [change, param] of BAD) {
  test(`what cannot be is named: ${param} of ${JSON.stringify(change)}`, async () => {
    assert.equal((await rejection(ask('Hello', change), BadRequestError)).param, param);
  });
}
