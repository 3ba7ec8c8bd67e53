// Several answers to one request, and how likely the model held their tokens.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadRequestError } from 'openai';

import { answer, ask, chunksOf, rejection } from './gateway.mjs';

const STORY = 'Tell me a story.';
// The model knows its stories by heart: without cuts it may err.
const DRAWN = { temperature: 2, seed: 7, max_tokens: 40, top_p: 1, top_k: 0, min_p: 0 };
const FRANCE = 'What is the capital of France?';

const texts = ({ choices }) => choices.map((choice) => choice.message.content);

test('as many answers as asked for', async () => {
  const completion = await ask(STORY, { n: 4, ...DRAWN });

  assert.deepEqual(
    completion.choices.map((choice) => choice.index),
    [0, 1, 2, 3],
  );
  assert.ok(new Set(texts(completion)).size > 1);
});

test('at temperature 0 they are all the same', async () => {
  const told = texts(await ask(FRANCE, { n: 3 }));

  assert.deepEqual([...new Set(told)], [await answer(FRANCE)]);
});

test('the chunks of each answer add up', async () => {
  // At temperature 0: a prompt that is kept computes less, which may differ in the last bit of a draw.
  const whole = texts(await ask(FRANCE, { n: 3 }));
  const choices = (await chunksOf(FRANCE, { n: 3 })).flatMap((chunk) => chunk.choices);
  const told = ['', '', ''];
  for (const choice of choices) told[choice.index] += choice.delta.content ?? '';
  const ends = choices.filter((choice) => choice.finish_reason).map((choice) => choice.index);

  assert.deepEqual(told, whole);
  assert.deepEqual(ends.sort(), [0, 1, 2]);
});

test('each token tells how likely it was', async () => {
  const { choices } = await ask(FRANCE, { logprobs: true, top_logprobs: 3 });
  const tokens = choices[0].logprobs.content;

  const bytes = Buffer.from(tokens.flatMap((token) => token.bytes));
  assert.equal(bytes.toString(), choices[0].message.content);
  for (const { logprob, top_logprobs } of tokens) {
    const likelihoods = top_logprobs.map((top) => top.logprob);
    assert.equal(likelihoods.length, 3);
    assert.deepEqual(likelihoods, likelihoods.toSorted((a, b) => b - a));
    assert.equal(logprob, likelihoods[0]);
    assert.ok(logprob <= 0);
  }
});

test('it is left out unless asked for', async () => {
  assert.equal((await ask('Hello')).choices[0].logprobs, null);
});

test('a banned token never comes', async () => {
  // The test model ends its turns with token 2.
  const { choices, usage } = await ask('Hello', { max_tokens: 100, logit_bias: { 2: -100 } });

  assert.equal(choices[0].finish_reason, 'length');
  assert.equal(usage.completion_tokens, 100);
});

const bad = [
  [{ n: 0 }, 'n'],
  [{ n: 33 }, 'n'],
  [{ top_logprobs: 2 }, 'top_logprobs'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  [{ logit_bias: { 2: 101 } }, 'logit_bias'],
];
for (const [change, param] of bad) {
  test(`what cannot be is named: ${JSON.stringify(change)}`, async () => {
    assert.equal((await rejection(ask('Hello', change), BadRequestError)).param, param);
  });
}
