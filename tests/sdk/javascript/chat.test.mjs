// Chat completions that come in one piece.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { answer, ask, asking, client, model } from './gateway.mjs';

const HOUR_S = 3600;

const EARLIER_TURN = [
  { role: 'user', content: 'Hello' },
  { role: 'assistant', content: 'Hello! How can I help you today?' },
];

test('a question is answered', async () => {
  const completion = await ask('What is the capital of France?');

  assert.equal(completion.choices.length, 1);
  const [choice] = completion.choices;
  assert.equal(choice.index, 0);
  assert.equal(choice.message.role, 'assistant');
  assert.match(choice.message.content, /Paris/);
  assert.equal(choice.finish_reason, 'stop');
});

test('the envelope is that of OpenAI', async () => {
  const completion = await ask('Hello');

  assert.equal(completion.object, 'chat.completion');
  assert.equal(completion.model, model);
  assert.ok(completion.id);
  assert.ok(Math.abs(Date.now() / 1000 - completion.created) < HOUR_S);
});

test('each completion has its own id', async () => {
  assert.notEqual((await ask('Hello')).id, (await ask('Hello')).id);
});

test('usage adds up', async () => {
  const { usage } = await ask('Hello');

  assert.ok(usage.prompt_tokens > 0);
  assert.ok(usage.completion_tokens > 0);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
});

test('a conversation with a system prompt is continued', async () => {
  const messages = [
    { role: 'system', content: 'You are a small test model.' },
    ...EARLIER_TURN,
    { role: 'user', content: 'What is the capital of France?' },
  ];

  assert.match(await answer('', { messages }), /Paris/);
});

test('earlier turns are part of the prompt', async () => {
  const alone = await ask('Hello', { max_tokens: 1 });
  const afterATurn = await ask('', {
    messages: [...EARLIER_TURN, { role: 'user', content: 'Hello' }],
    max_tokens: 1,
  });

  assert.ok(afterATurn.usage.prompt_tokens > alone.usage.prompt_tokens);
});

test('content may be a list of text parts', async () => {
  const parts = [
    { type: 'text', text: 'What is the capital' },
    { type: 'text', text: ' of France?' },
  ];

  assert.match(await answer(parts), /Paris/);
});

test('a field that the gateway does not know is ignored', async () => {
  const completion = await ask('Hello', { no_such_field: { at: ['all'] } });

  assert.equal(completion.choices[0].finish_reason, 'stop');
});

test('the request id is in the response headers', async () => {
  const { data, response, request_id } = await client.chat.completions
    .create(asking('Hello'))
    .withResponse();

  assert.ok(request_id);
  assert.equal(response.headers.get('x-request-id'), request_id);
  assert.match(response.headers.get('content-type'), /^application\/json/);
  assert.equal(data._request_id, request_id);
});

test('each request has its own request id', async () => {
  const first = await client.models.list().withResponse();
  const second = await client.models.list().withResponse();

  assert.notEqual(first.request_id, second.request_id);
});

for (const prompt of ['Γειά σου, κόσμε', 'こんにちは', '👋🏽 Hello']) {
  test(`a multi-byte prompt is read: ${prompt}`, async () => {
    const { usage } = await ask(prompt, { max_tokens: 8 });

    assert.ok(usage.completion_tokens > 0);
  });
}
