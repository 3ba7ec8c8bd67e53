// Anthropic's SDK asks the same gateway.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { PROMPT_TOO_LONG, address, collect, model, rejection, token, user } from './gateway.mjs';

const connect = (options = {}) =>
  new Anthropic({ baseURL: address, apiKey: token, maxRetries: 0, timeout: 60_000, ...options });

const { messages } = connect();

const IN_PARIS = 'What is the weather in Paris?';
const ADA = 'Give me JSON with name and age for Ada.';
const WEATHER = {
  name: 'get_weather',
  description: 'Get the weather for a city',
  input_schema: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
  },
};

/** The parameters of one user message, greedy unless the test says otherwise. */
const asking = (prompt, parameters = {}) => ({
  model,
  max_tokens: 60,
  messages: user(prompt),
  temperature: 0,
  ...parameters,
});

const ask = (prompt, parameters) => messages.create(asking(prompt, parameters));

test('a message is answered', async () => {
  const message = await ask('What is the capital of France?', { system: 'You are kind.' });

  assert.match(message.content[0].text, /Paris/);
  assert.deepEqual([message.type, message.role, message.model], ['message', 'assistant', model]);
  assert.equal(message.stop_reason, 'end_turn');
  assert.ok(message.usage.output_tokens > 0);
});

test('the limit is kept', async () => {
  const message = await ask('Tell me a story.', { max_tokens: 3 });

  assert.deepEqual([message.stop_reason, message.usage.output_tokens], ['max_tokens', 3]);
});

test('a seed makes a choice repeatable', async () => {
  const parameters = { temperature: 2, seed: 7, max_tokens: 20 };
  const [first, second] = [await ask('Hello!', parameters), await ask('Hello!', parameters)];

  assert.deepEqual(first.content, second.content);
});

test('the events of a stream add up to the message', async () => {
  const whole = await ask('What is the capital of Japan?');
  const events = await collect(await ask('What is the capital of Japan?', { stream: true }));

  assert.equal(events[0].type, 'message_start');
  assert.equal(events.at(-1).type, 'message_stop');
  const text = events.map((event) => event.delta?.text ?? '').join('');
  assert.equal(text, whole.content[0].text);
});

test('the stream helper gives the same message', async () => {
  const stream = messages.stream(asking('What is the capital of Japan?'));
  const text = await stream.finalText();

  assert.equal(text, (await ask('What is the capital of Japan?')).content[0].text);
  assert.equal((await stream.finalMessage()).stop_reason, 'end_turn');
});

test('a stream that is given up ends the run', async () => {
  const stream = await ask('Tell me a story.', { stream: true });
  for await (const event of stream) {
    if (event.type === 'content_block_delta') break;
  }

  assert.ok(stream.controller.signal.aborted);
});

test('a tool is called and its result is told', async () => {
  const first = await ask(IN_PARIS, { tools: [WEATHER] });
  const call = first.content.find((block) => block.type === 'tool_use');
  assert.equal(first.stop_reason, 'tool_use');
  assert.deepEqual([call.name, call.input], ['get_weather', { city: 'Paris' }]);

  const result = {
    type: 'tool_result',
    tool_use_id: call.id,
    content: '{"temperature":21,"condition":"sunny"}',
  };
  const conversation = [
    ...user(IN_PARIS),
    { role: 'assistant', content: first.content },
    { role: 'user', content: [result] },
  ];
  const second = await ask('', { messages: conversation, tools: [WEATHER] });
  assert.equal(second.content[0].text, 'It is sunny and 21 degrees in Paris.');
});

for (const choice of [{ type: 'any' }, { type: 'tool', name: 'get_weather' }]) {
  test(`a call can be demanded, and is streamed: ${JSON.stringify(choice)}`, async () => {
    const parameters = { tools: [WEATHER], tool_choice: choice, max_tokens: 200 };
    const message = await messages.stream(asking('Hello!', parameters)).finalMessage();

    const calls = message.content.filter((block) => block.type === 'tool_use');
    assert.equal(message.stop_reason, 'tool_use');
    assert.ok(calls.length > 0);
    assert.ok(calls.every((call) => typeof call.input.city === 'string'));
  });
}

test('a call that is cut off is still an object', async () => {
  const parameters = { tools: [WEATHER], tool_choice: { type: 'any' }, max_tokens: 12 };
  const message = await ask(IN_PARIS, parameters);

  assert.equal(message.stop_reason, 'max_tokens');
  for (const block of message.content) {
    if (block.type === 'tool_use') assert.equal(typeof block.input, 'object');
  }
});

test('a schema holds', async () => {
  const schema = {
    type: 'object',
    properties: { name: { type: 'string' }, age: { type: 'integer' } },
    required: ['name', 'age'],
    additionalProperties: false,
  };
  const { content } = await ask(ADA, { output_config: { format: { type: 'json_schema', schema } } });

  assert.deepEqual(JSON.parse(content[0].text), { name: 'Ada', age: 36 });
});

test('tokens are counted', async () => {
  const count = async (text) =>
    (await messages.countTokens({ model, messages: user(text) })).input_tokens;
  const [short, long] = [await count('Hello!'), await count('Hello! '.repeat(100))];

  assert.ok(short > 0 && short < long);
});

const BAD = [
  [{ model: 'no-such-model' }, Anthropic.NotFoundError, 'not_found_error'],
  [{ temperature: 9 }, Anthropic.BadRequestError, 'invalid_request_error'],
  [{ max_tokens: 0 }, Anthropic.BadRequestError, 'invalid_request_error'],
  [{ messages: user(PROMPT_TOO_LONG) }, Anthropic.BadRequestError, 'invalid_request_error'],
];
for (const [change, kind, type] of BAD) {
  test(`an error has its class: ${JSON.stringify(change).slice(0, 50)}`, async () => {
    const error = await rejection(ask('Hi', change), kind);

    assert.equal(error.error.error.type, type);
    assert.match(error.requestID, /^req_/);
  });
}

test('a stranger is turned away, and the connection stays', async () => {
  const stranger = connect({ apiKey: 'hth_no' });
  for (let time = 0; time < 3; time += 1) {
    await rejection(
      stranger.messages.create(asking('Hi '.repeat(200))),
      Anthropic.AuthenticationError,
    );
  }
});
