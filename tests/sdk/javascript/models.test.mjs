// The model catalog, as the SDK reads it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NotFoundError } from 'openai';

import { client, model, rejection } from './gateway.mjs';

test('the list names the model', async () => {
  const page = await client.models.list();

  assert.equal(page.object, 'list');
  assert.ok(page.data.some((entry) => entry.id === model));
});

test('each entry has the fields that the SDK promises', async () => {
  for await (const entry of client.models.list()) {
    assert.equal(entry.object, 'model');
    assert.equal(typeof entry.id, 'string');
    assert.ok(Number.isInteger(entry.created));
    assert.equal(typeof entry.owned_by, 'string');
  }
});

test('one model is retrieved by its id', async () => {
  const entry = await client.models.retrieve(model);

  assert.equal(entry.id, model);
  assert.equal(entry.object, 'model');
});

for (const unknown of ['no-such-model', 'nobody/no-such-model']) {
  test(`an unknown id is not found: ${unknown}`, async () => {
    const error = await rejection(client.models.retrieve(unknown), NotFoundError);

    assert.equal(error.code, 'model_not_found');
  });
}
