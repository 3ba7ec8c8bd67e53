// Batches, as OpenAI's and Anthropic's SDKs create, watch and read them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import Anthropic from '@anthropic-ai/sdk';
import { toFile } from 'openai';

import { address, client, model, token } from './gateway.mjs';

const { batches } = new Anthropic({ baseURL: address, apiKey: token, maxRetries: 0, timeout: 60_000 }).messages;

const endpoint = '/v1/chat/completions';

const lines = (count) => {
  const body = { model, max_tokens: 8, messages: [{ role: 'user', content: 'Hello!' }] };
  const request = (number) => JSON.stringify({ custom_id: `r${number}`, method: 'POST', url: endpoint, body });
  return Array.from({ length: count }, (_, number) => request(number)).join('\n');
};

const until = async (read, hasEnded) => {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    const batch = await read();
    if (hasEnded(batch)) return batch;
    await sleep(200);
  }
  return assert.fail('the batch has no end');
};

test('a batch has a result for each request', async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from(lines(4)), 'in.jsonl'), purpose: 'batch' });
  const created = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h' });
  const batch = await until(
    () => client.batches.retrieve(created.id),
    ({ status }) => ['completed', 'failed', 'expired', 'cancelled'].includes(status),
  );
  assert.equal(batch.status, 'completed');
  assert.deepEqual(batch.request_counts, { total: 4, completed: 4, failed: 0 });
  const text = await (await client.files.content(batch.output_file_id)).text();
  const results = text.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(results.map((result) => result.custom_id).sort(), ['r0', 'r1', 'r2', 'r3']);
  for (const { response, error } of results) assert.deepEqual([response.status_code, error], [200, null]);
  const ids = [];
  for await (const listed of client.batches.list({ limit: 2 })) ids.push(listed.id);
  assert.ok(ids.includes(batch.id));
});

test('a batch of messages streams its results', async () => {
  const params = { model, max_tokens: 8, messages: [{ role: 'user', content: 'Hello!' }] };
  const requests = [0, 1].map((number) => ({ custom_id: `m${number}`, params }));
  const created = await batches.create({ requests });
  const batch = await until(
    () => batches.retrieve(created.id),
    ({ processing_status: status }) => status === 'ended',
  );
  assert.equal(batch.request_counts.succeeded, 2);
  const results = [];
  for await (const entry of await batches.results(batch.id)) results.push(entry);
  assert.deepEqual(results.map((entry) => entry.custom_id).sort(), ['m0', 'm1']);
  assert.deepEqual([...new Set(results.map((entry) => entry.result.type))], ['succeeded']);
  assert.equal((await batches.delete(batch.id)).type, 'message_batch_deleted');
});

test('cancelled batches end with a result for each request', async () => {
  const file = await client.files.create({ file: await toFile(Buffer.from(lines(1000)), 'in.jsonl'), purpose: 'batch' });
  const created = await client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h' });
  assert.match((await client.batches.cancel(created.id)).status, /^cancell/);
  await until(
    () => client.batches.retrieve(created.id),
    ({ status }) => status === 'cancelled',
  );

  const params = { model, max_tokens: 64, messages: [{ role: 'user', content: 'Hello!' }] };
  const requests = Array.from({ length: 500 }, (_, number) => ({ custom_id: `m${number}`, params }));
  const { id } = await batches.create({ requests });
  assert.ok((await batches.cancel(id)).cancel_initiated_at);
  const batch = await until(
    () => batches.retrieve(id),
    ({ processing_status: status }) => status === 'ended',
  );
  const types = [];
  for await (const entry of await batches.results(id)) types.push(entry.result.type);
  assert.equal(types.length, 500);
  assert.equal(types.filter((type) => type === 'canceled').length, batch.request_counts.canceled);
});
