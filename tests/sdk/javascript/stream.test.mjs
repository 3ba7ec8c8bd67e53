// Chat completions that come in chunks.

import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';

import { BadRequestError } from 'openai';

import {
  answer,
  ask,
  asking,
  chunksOf,
  client,
  counts,
  finishReasons,
  joined,
  model,
} from './gateway.mjs';

const STORY = 'Tell me a story.';

// A schema with one valid document: the model must write these very characters, whatever it was
// trained on, and a byte-level tokenizer writes each of them in pieces. A small model left to
// itself may answer in ASCII only, and then proves nothing.
const GREETING = 'Γειά σου, κόσμε 👋🏽 こんにちは';
const EXACTLY_THE_GREETING = {
  type: 'json_schema',
  json_schema: {
    name: 'greeting',
    strict: true,
    schema: {
      type: 'object',
      properties: { text: { type: 'string', enum: [GREETING] } },
      required: ['text'],
      additionalProperties: false,
    },
  },
};

const isWhole = (chunk) => !joined([chunk]).includes('\ufffd');

for (const prompt of ['Hello', 'What is the capital of France?', STORY]) {
  test(`the chunks add up to the answer: ${prompt}`, async () => {
    assert.equal(joined(await chunksOf(prompt)), await answer(prompt));
  });
}

test('the text comes in many chunks', async () => {
  const chunks = await chunksOf(STORY, { max_tokens: 40 });

  assert.ok(chunks.filter((chunk) => joined([chunk]) !== '').length > 10);
});

test('every chunk has the same envelope', async () => {
  const [first, ...rest] = await chunksOf('Hello');

  assert.equal(first.object, 'chat.completion.chunk');
  assert.equal(first.model, model);
  for (const chunk of rest) {
    const { id, object, created, model } = chunk;
    assert.deepEqual(
      { id, object, created, model },
      { id: first.id, object: first.object, created: first.created, model: first.model },
    );
  }
});

test('the first chunk alone says the role', async () => {
  const [first, ...rest] = await chunksOf('Hello');

  assert.equal(first.choices[0].delta.role, 'assistant');
  assert.ok(rest.every((chunk) => chunk.choices.every((choice) => choice.delta.role == null)));
});

test('the last chunk says why it ended', async () => {
  const chunks = await chunksOf('Hello');

  assert.deepEqual(finishReasons(chunks), ['stop']);
  assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
});

test('a stream cut by the limit says length', async () => {
  assert.deepEqual(finishReasons(await chunksOf(STORY, { max_tokens: 3 })), ['length']);
});

test('usage comes last when asked for', async () => {
  const chunks = await chunksOf('Hello', { stream_options: { include_usage: true } });
  const last = chunks.pop();

  assert.deepEqual(last.choices, []);
  assert.deepEqual(counts(last.usage), counts((await ask('Hello')).usage));
  assert.ok(chunks.every((chunk) => chunk.usage == null));
  assert.deepEqual(finishReasons(chunks), ['stop']);
});

test('usage is left out when not asked for', async () => {
  const chunks = await chunksOf('Hello');

  assert.ok(chunks.every((chunk) => chunk.usage == null && chunk.choices.length === 1));
});

test('no part of a stop string gets out', async () => {
  const story = await answer(STORY, { max_tokens: 60 });
  const stop = story.slice(story.length / 2, story.length / 2 + 12);

  const chunks = await chunksOf(STORY, { max_tokens: 60, stop });

  assert.equal(joined(chunks), story.slice(0, story.indexOf(stop)));
  assert.deepEqual(finishReasons(chunks), ['stop']);
});

test('on the wire it is server-sent events up to [DONE]', async () => {
  const response = await client.chat.completions
    .create(asking('Hello', { stream: true }))
    .asResponse();
  const lines = (await response.text()).split(/\r?\n/).filter((line) => line.startsWith('data:'));

  assert.match(response.headers.get('content-type'), /^text\/event-stream/);
  assert.ok(response.headers.get('x-request-id'));
  assert.equal(lines.pop(), 'data: [DONE]');
  for (const line of lines) assert.ok(JSON.parse(line.slice('data:'.length)));
});

test('a Greek answer is whole', async () => {
  const chunks = await chunksOf('Say hello in Greek', { max_tokens: 60 });

  assert.ok(chunks.every(isWhole));
  assert.equal(joined(chunks), await answer('Say hello in Greek', { max_tokens: 60 }));
});

describe('characters of several bytes', () => {
  const format = { response_format: EXACTLY_THE_GREETING };
  let noSchemas = false; // or the reason to skip, while the model takes no schema

  before(async () => {
    try {
      await ask('Hello', format);
    } catch (refusal) {
      const refused = refusal instanceof BadRequestError && refusal.param === 'response_format';
      if (!refused) throw refusal;
      noSchemas = `${model} takes no schema: ${refusal.message}`;
    }
  });

  test('are never split', async (t) => {
    if (noSchemas) return t.skip(noSchemas);
    const chunks = await chunksOf('Hello', format);

    assert.ok(chunks.every(isWhole));
    assert.deepEqual(JSON.parse(joined(chunks)), { text: GREETING });
  });

  // Half a character at the end is dropped; it is not replaced by U+FFFD.
  for (const tokens of [10, 11, 12, 13, 14, 15]) {
    test(`are whole or absent at a limit of ${tokens} tokens`, async (t) => {
      if (noSchemas) return t.skip(noSchemas);
      const whole = await answer('Hello', format);
      const cut = await chunksOf('Hello', { ...format, max_tokens: tokens });

      assert.ok(whole.startsWith(joined(cut)));
    });
  }
});
