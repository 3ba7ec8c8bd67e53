// Many clients at once: each gets its own answer, and gets all of it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answer, chunksOf, finishReasons, joined } from './gateway.mjs';

const PROMPTS = [
  'Hello',
  'What is the capital of France?',
  'What is the capital of Japan?',
  'Who are you?',
  'Tell me a story.',
];

test('ten streams at once each get their own answer', async () => {
  const alone = [];
  for (const prompt of PROMPTS) alone.push(await answer(prompt));

  const streams = await Promise.all([...PROMPTS, ...PROMPTS].map((prompt) => chunksOf(prompt)));

  assert.deepEqual(streams.map(joined), [...alone, ...alone]);
  assert.deepEqual(streams.map(finishReasons), Array(10).fill(['stop']));
});
