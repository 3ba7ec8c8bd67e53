// Ollama's SDK against the gateway: chat, streams, tools, schemas, vectors, models and errors.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { Ollama } from 'ollama';

import { address, model, rejection, token, user } from './gateway.mjs';
import { LOOKS, THOUGHT, VENDORS, found, play, vendorAddress } from './vendor.mjs';

const ollama = new Ollama({ host: address, headers: { Authorization: `Bearer ${token}` } });
const GREEDY = { temperature: 0, num_predict: 60 };
const CAPITAL = 'What is the capital of France?';
const TOOL = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather for a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
};

async function collect(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return parts;
}

test('a chat is the same whole and streamed', async () => {
  const asked = { model, messages: user(CAPITAL), options: GREEDY };
  const whole = await ollama.chat(asked);
  assert.match(whole.message.content, /Paris/);
  assert.equal(whole.done_reason, 'stop');
  assert.ok(whole.eval_count > 0 && whole.eval_duration > 0 && whole.total_duration > 0);

  const parts = await collect(await ollama.chat({ ...asked, stream: true }));
  assert.equal(parts.map(({ message }) => message.content).join(''), whole.message.content);
  assert.equal(parts.at(-1).done, true);
});

test('a prompt is answered', async () => {
  const { response } = await ollama.generate({ model, prompt: CAPITAL, options: GREEDY });
  assert.match(response, /Paris/);
});

test('a schema is kept to', async () => {
  const format = {
    type: 'object',
    properties: { name: { type: 'string' }, age: { type: 'integer' } },
    required: ['name', 'age'],
  };
  const messages = user('Give me JSON with name and age for Ada.');
  const { message } = await ollama.chat({ model, messages, format, options: GREEDY });
  assert.equal(typeof JSON.parse(message.content).age, 'number');
});

test('a stream is aborted', async () => {
  const stream = await ollama.generate({ model, prompt: CAPITAL, stream: true, options: { num_predict: 3000, ignore_eos: true } });
  await assert.rejects(async () => {
    for await (const part of stream) if (part.response) stream.abort();
  }, { name: 'AbortError' });
});

test('models are listed, shown and in memory', async () => {
  const { models } = await ollama.list();
  assert.ok(models.some(({ name }) => name === `${model}:latest`));
  const shown = await ollama.show({ model });
  assert.ok(shown.capabilities.includes('completion'));
  assert.ok((await ollama.ps()).models.some(({ name }) => name === `${model}:latest`));
  assert.match((await ollama.version()).version, /^\d+\.\d+\.\d+$/);
  assert.equal((await ollama.pull({ model })).status, 'success');
});

test('vectors are given', { skip: !process.env.HEARTH_EMBEDDING_MODEL }, async () => {
  const { embeddings } = await ollama.embed({ model: process.env.HEARTH_EMBEDDING_MODEL, input: ['one', 'two'] });
  assert.equal(embeddings.length, 2);
});

test('errors have their status and their words', async () => {
  const unknown = await rejection(ollama.chat({ model: 'no-such-model', messages: user('Hi') }), Error);
  assert.equal(unknown.status_code, 404);
  assert.match(unknown.error, /^model 'no-such-model' not found/);
  const stranger = new Ollama({ host: address, headers: { Authorization: 'Bearer wrong' } });
  assert.equal((await rejection(stranger.list(), Error)).status_code, 401);
});

for (const [name, agent] of Object.entries(VENDORS)) {
  test(`tools over ${name}: thoughts, a call, and the answer`, { skip: !vendorAddress }, async () => {
    const vendor = await play();
    try {
      for (const stream of [false, true]) {
        const messages = user('What is the weather in Paris?');
        const ask = async () => {
          const answer = await ollama.chat({ model: agent, messages, tools: [TOOL], stream });
          if (!stream) return answer.message;
          const parts = (await collect(answer)).map(({ message }) => message);
          const whole = { role: 'assistant', content: '', thinking: '' };
          for (const part of parts) {
            const { content, thinking = '', ...rest } = part;
            Object.assign(whole, rest, { content: whole.content + content, thinking: whole.thinking + thinking });
          }
          return whole;
        };
        const message = await ask();
        assert.equal(message.content, LOOKS);
        if (name !== 'gemini') assert.equal(message.thinking, THOUGHT);
        assert.deepEqual(message.tool_calls.map((call) => call.function.arguments), [{ city: 'Paris' }]);
        messages.push(message, { role: 'tool', tool_name: 'get_weather', content: 'sunny' });
        assert.equal((await ask()).content, found('sunny'));
        assert.ok(vendor.sealed(), 'the seal of the call came back');
      }
    } finally {
      await vendor.stop();
    }
  });
}
