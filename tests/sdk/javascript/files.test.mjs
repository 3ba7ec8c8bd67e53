// Files, as OpenAI's SDK uploads, lists, reads and deletes them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI, { toFile } from 'openai';

import { client } from './gateway.mjs';

test('a file is uploaded, listed, read and deleted', async () => {
  const bytes = Buffer.from('The word of the day is sparrow.\n');
  const file = await client.files.create({ file: await toFile(bytes, 'notes.txt'), purpose: 'user_data' });
  assert.match(file.id, /^file-/);
  assert.equal(file.bytes, bytes.length);
  assert.equal(file.filename, 'notes.txt');
  const ids = [];
  for await (const entry of client.files.list({ limit: 2 })) ids.push(entry.id);
  assert.ok(ids.includes(file.id));
  const content = await client.files.content(file.id);
  assert.equal(await content.text(), bytes.toString());
  const deleted = await client.files.delete(file.id);
  assert.deepEqual([deleted.id, deleted.deleted], [file.id, true]);
  await assert.rejects(client.files.retrieve(file.id), OpenAI.NotFoundError);
});

test('a file in parts is joined in the order that the client names', async () => {
  const data = Buffer.from('part by part '.repeat(500));
  const begun = { filename: 'parts.txt', purpose: 'user_data', bytes: data.length, mime_type: 'text/plain' };
  const upload = await client.uploads.create(begun);
  assert.equal(upload.status, 'pending');
  const second = await client.uploads.parts.create(upload.id, { data: await toFile(data.subarray(3000), 'second') });
  const first = await client.uploads.parts.create(upload.id, { data: await toFile(data.subarray(0, 3000), 'first') });
  const completed = await client.uploads.complete(upload.id, { part_ids: [first.id, second.id] });
  assert.equal(completed.status, 'completed');
  const content = await client.files.content(completed.file.id);
  assert.equal(await content.text(), data.toString());
  await client.files.delete(completed.file.id);
});
