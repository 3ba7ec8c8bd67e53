// A client that goes away stops its run: no tokens are generated for nobody.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ENDLESS, answer, collect, joined, open, waitUntilCancelled } from './gateway.mjs';

const STORY = 'Tell me a story.';

test('an AbortController cancels the run', async () => {
  const controller = new AbortController();
  const { data: stream, request_id } = await open(STORY, ENDLESS, { signal: controller.signal });

  let read = 0;
  for await (const _ of stream) {
    if (++read === 3) controller.abort();
  }

  const { usage } = await waitUntilCancelled(request_id);
  assert.ok(usage.completion_tokens > 0);
  assert.ok(usage.completion_tokens < ENDLESS.max_tokens);
});

test("aborting by the stream's own controller cancels the run", async () => {
  const { data: stream, request_id } = await open(STORY, ENDLESS);

  let read = 0;
  for await (const _ of stream) {
    if (++read === 3) stream.controller.abort();
  }

  const { usage } = await waitUntilCancelled(request_id);
  assert.ok(usage.completion_tokens < ENDLESS.max_tokens);
});

test('leaving the loop cancels the run, and the model answers on', async () => {
  const { data: stream, request_id } = await open(STORY, ENDLESS);
  for await (const _ of stream) break;

  await waitUntilCancelled(request_id);

  assert.match(await answer('What is the capital of France?'), /Paris/);
});

test('cancelling one stream leaves its neighbour alone', async () => {
  const { data: neighbour } = await open(STORY, { max_tokens: 100 });
  const { data: stream, request_id } = await open(STORY, ENDLESS);
  for await (const _ of stream) break;
  await waitUntilCancelled(request_id);

  const told = joined(await collect(neighbour));
  assert.equal(told, await answer(STORY, { max_tokens: 100 }));
});
