// Embeddings. They need a model that makes them: `HEARTH_EMBEDDING_MODEL` names it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { BadRequestError, NotFoundError } from 'openai';

import { client, model, rejection } from './gateway.mjs';

const TEXTS = ['The cat sat on the mat.', 'A dog barked at the moon.', 'Stock prices fell sharply.'];

const embeddingModel = process.env.HEARTH_EMBEDDING_MODEL;
const skip = embeddingModel ? false : 'HEARTH_EMBEDDING_MODEL is not set';

const embed = (input, parameters) =>
  client.embeddings.create({ model: embeddingModel, input, ...parameters });

const cosine = (a, b) => a.reduce((sum, number, index) => sum + number * b[index], 0);
const assertClose = (a, b) => assert.ok(Math.abs(a - b) < 1e-3, `${a} is not ${b}`);

test('each text has its vector in order', { skip }, async () => {
  const list = await embed(TEXTS);

  assert.equal(list.model, embeddingModel);
  assert.deepEqual(
    list.data.map((entry) => entry.index),
    [0, 1, 2],
  );
  assert.ok(list.usage.prompt_tokens > 0);
  for (const [index, text] of TEXTS.entries()) {
    const alone = (await embed(text)).data[0].embedding;
    assertClose(cosine(alone, list.data[index].embedding), 1);
  }
});

test('numbers and bytes say the same', { skip }, async () => {
  // The SDK asks for bytes unless it is told otherwise, and gives numbers either way.
  const byBytes = (await embed(TEXTS[0])).data[0].embedding;
  const byNumbers = (await embed(TEXTS[0], { encoding_format: 'float' })).data[0].embedding;

  assert.equal(byBytes.length, byNumbers.length);
  for (const [index, number] of byBytes.entries()) assertClose(number, byNumbers[index]);
});

test('a vector can be cut', { skip }, async () => {
  const short = (await embed(TEXTS[0], { dimensions: 8 })).data[0].embedding;

  assert.equal(short.length, 8);
  assertClose(cosine(short, short), 1);
});

test('an embedding model makes no chat', { skip }, async () => {
  const messages = [{ role: 'user', content: 'Hello' }];
  const chat = client.chat.completions.create({ model: embeddingModel, messages });

  assert.equal((await rejection(chat, BadRequestError)).param, 'model');
});

for (const [what, input, param] of [
  ['an empty text', '', 'input'],
  ['no text', [], 'input'],
  ['one empty text', ['a', ''], 'input[1]'],
]) {
  test(`${what} is refused`, async () => {
    const error = await rejection(client.embeddings.create({ model, input }), BadRequestError);

    assert.equal(error.param, param);
  });
}

test('a chat model makes no embeddings', async () => {
  const error = await rejection(client.embeddings.create({ model, input: 'Hello' }), BadRequestError);

  assert.equal(error.param, 'model');
});

test('an unknown model is not found', async () => {
  const sent = client.embeddings.create({ model: 'no-such-model', input: 'Hello' });

  assert.equal((await rejection(sent, NotFoundError)).code, 'model_not_found');
});
