// Answers of a given form.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadRequestError } from 'openai';

import { answer, ask, asking, client, rejection } from './gateway.mjs';

const ADA = 'Give me JSON with name and age for Ada.';

const form = (properties) => ({
  type: 'json_schema',
  json_schema: {
    name: 'answer',
    strict: true,
    schema: {
      type: 'object',
      properties,
      required: Object.keys(properties),
      additionalProperties: false,
    },
  },
});

const PERSON = form({ name: { type: 'string' }, age: { type: 'integer' } });
const VERDICT = form({ sure: { type: 'boolean' }, answer: { enum: ['yes', 'no'] } });

test('an answer fits its schema', async () => {
  const text = await answer(ADA, { response_format: PERSON });

  assert.deepEqual(JSON.parse(text), { name: 'Ada', age: 36 });
});

test('the stream helper gives the same', async () => {
  const stream = client.chat.completions.stream(asking(ADA, { response_format: PERSON }));

  assert.deepEqual(JSON.parse(await stream.finalContent()), { name: 'Ada', age: 36 });
});

for (const seed of [0, 1, 2]) {
  test(`the form holds whatever is asked, seed ${seed}`, async () => {
    const wild = { temperature: 2, seed, response_format: VERDICT };
    const verdict = JSON.parse(await answer('Tell me a story.', wild));

    assert.deepEqual(Object.keys(verdict), ['sure', 'answer']);
    assert.equal(typeof verdict.sure, 'boolean');
    assert.ok(['yes', 'no'].includes(verdict.answer));
  });
}

test('a JSON object is one', async () => {
  const text = await answer(ADA, { response_format: { type: 'json_object' }, max_tokens: 400 });

  assert.equal(typeof JSON.parse(text), 'object');
});

test('a bad form is named', async () => {
  const error = await rejection(
    ask('Hello', { response_format: { type: 'json_schema' } }),
    BadRequestError,
  );

  assert.equal(error.param, 'response_format.json_schema');
});
