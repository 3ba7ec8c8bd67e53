// Responses in the background: polled, resumed after an event, and cancelled.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { BadRequestError, NotFoundError } from 'openai';

import { client, model, rejection } from './gateway.mjs';

const POLL_INTERVAL_MS = 50;

/** A response of exactly so many tokens, in the background. */
const begin = (tokens, parameters = {}) =>
  client.responses.create({
    model,
    input: 'Tell me a story.',
    max_output_tokens: tokens,
    background: true,
    ignore_eos: true,
    ...parameters,
  });

const isOpen = (response) => ['queued', 'in_progress'].includes(response.status);

test('a background response is polled to its end', async () => {
  const begun = await begin(100);
  assert.ok(isOpen(begun), begun.status);
  let response = begun;
  while (isOpen(response)) {
    await sleep(POLL_INTERVAL_MS);
    response = await client.responses.retrieve(begun.id);
  }
  assert.deepEqual([response.id, response.status, response.background], [begun.id, 'incomplete', true]);
  assert.equal(response.usage.output_tokens, 100);
  assert.notEqual(response.output_text, '');
});

test('a background stream is resumed after an event', async () => {
  const events = [];
  for await (const event of await begin(200, { stream: true })) {
    events.push(event);
    if (events.length === 6) break;
  }
  const { id } = events[0].response;
  const after = events.at(-1).sequence_number;
  for await (const event of await client.responses.retrieve(id, { stream: true, starting_after: after })) {
    events.push(event);
  }
  assert.deepEqual(
    events.map((event) => event.sequence_number),
    events.map((_, index) => index),
  );
  const deltas = events.filter((event) => event.type === 'response.output_text.delta');
  const text = deltas.map((event) => event.delta).join('');
  assert.equal(events.at(-1).type, 'response.incomplete');
  assert.equal((await client.responses.retrieve(id)).output_text, text);
});

test('a background response is cancelled', async () => {
  const begun = await begin(3500);
  const cancelled = await client.responses.cancel(begun.id);
  assert.deepEqual([cancelled.id, cancelled.status], [begun.id, 'cancelled']);
  assert.equal((await client.responses.retrieve(begun.id)).status, 'cancelled');
});

test('an unknown response is not found, and one that is not stored is refused', async () => {
  await rejection(client.responses.cancel('req_01J9ZX5V2QH8N4T6W0C3M7K1RB'), NotFoundError);
  const refused = await rejection(begin(5, { store: false }), BadRequestError);
  assert.equal(refused.param, 'background');
});
