// OpenAI's conversations, and the responses that continue them.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { NotFoundError } from 'openai';

import { client, model, rejection } from './gateway.mjs';

const create = () =>
  client.conversations.create({
    items: [{ type: 'message', role: 'user', content: 'What is the capital of France?' }],
    metadata: { topic: 'demo' },
  });

test('a conversation is created, changed and deleted', async () => {
  const { id, object, metadata } = await create();
  assert.deepEqual([object, metadata], ['conversation', { topic: 'demo' }]);
  const changed = await client.conversations.update(id, { metadata: { topic: 'other' } });
  assert.deepEqual(changed.metadata, { topic: 'other' });
  assert.equal((await client.conversations.delete(id)).deleted, true);
  await rejection(client.conversations.retrieve(id), NotFoundError);
});

test('responses, whole and streamed, continue their conversation', async () => {
  const conversation = await create();
  const request = { model, input: 'Hello!', max_output_tokens: 16 };
  const response = await client.responses.create({ ...request, conversation: conversation.id });
  assert.equal(response.conversation.id, conversation.id);
  const stream = await client.responses.create({ ...request, conversation: { id: conversation.id }, stream: true });
  let last;
  for await (const event of stream) {
    last = event;
  }
  const ids = [];
  for await (const item of client.conversations.items.list(conversation.id, { order: 'asc', limit: 2 })) {
    ids.push(item.id);
  }
  assert.equal(ids.length, 5);
  assert.equal(ids[2], response.output[0].id);
  assert.equal(ids[4], last.response.output[0].id);
});
