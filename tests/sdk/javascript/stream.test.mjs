// Chat completions that come in chunks.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

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

// Answers whose characters have two, three and four bytes, each byte a token of its own.
const MULTIBYTE = {
  'Say hello in Greek.': 'Γειά σου!',
  'Say hello in Japanese.': 'こんにちは!',
  'Say hello with an emoji.': 'Hello! 👋',
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

describe('characters of several bytes', () => {
  for (const [prompt, expected] of Object.entries(MULTIBYTE)) {
    test(`are never split: ${prompt}`, async () => {
      const chunks = await chunksOf(prompt);

      assert.ok(chunks.every(isWhole));
      assert.equal(joined(chunks), expected);
    });
  }

  // Half a character at the end is dropped; it is not replaced by U+FFFD.
  for (const tokens of [1, 2, 3, 4, 5, 6, 7]) {
    test(`are whole or absent at a limit of ${tokens} tokens`, async () => {
      const cut = await chunksOf('Say hello in Japanese.', { max_tokens: tokens });

      assert.equal(joined(cut), 'こんにちは'.slice(0, Math.floor(tokens / 3)));
    });
  }
});
