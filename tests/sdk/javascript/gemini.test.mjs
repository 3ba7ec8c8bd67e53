// Google's SDK asks the same gateway.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError, FunctionCallingConfigMode, GoogleGenAI, Type } from '@google/genai';

import { address, collect, model, token } from './gateway.mjs';

const connect = (apiKey = token) =>
  new GoogleGenAI({ apiKey, httpOptions: { baseUrl: address, timeout: 60_000 } });

const google = connect();

const IN_PARIS = 'What is the weather in Paris?';
const ADA = 'Give me JSON with name and age for Ada.';
const WEATHER = {
  functionDeclarations: [
    {
      name: 'get_weather',
      description: 'Get the weather for a city',
      parameters: {
        type: Type.OBJECT,
        properties: { city: { type: Type.STRING } },
        required: ['city'],
      },
    },
  ],
};

/** The parameters of a request, greedy unless the test says otherwise. */
const asking = (contents, config = {}) => ({ model, contents, config: { temperature: 0, ...config } });

const ask = (contents, config) => google.models.generateContent(asking(contents, config));

test('a text is generated', async () => {
  const answer = await ask('What is the capital of France?', { systemInstruction: 'You are kind.' });

  assert.match(answer.text, /Paris/);
  assert.equal(answer.candidates[0].finishReason, 'STOP');
  assert.equal(answer.modelVersion, model);
  const { promptTokenCount, candidatesTokenCount, totalTokenCount } = answer.usageMetadata;
  assert.ok(promptTokenCount > 0 && candidatesTokenCount > 0);
  assert.equal(totalTokenCount, promptTokenCount + candidatesTokenCount);
});

test('a stream is the same answer', async () => {
  const whole = await ask('What is the capital of Japan?');
  const stream = await google.models.generateContentStream(asking('What is the capital of Japan?'));
  const chunks = await collect(stream);

  assert.ok(chunks.length > 2);
  assert.equal(chunks.map((chunk) => chunk.text ?? '').join(''), whole.text);
  assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
});

test('the limit is kept', async () => {
  const answer = await ask('Tell me a story.', { maxOutputTokens: 3 });

  assert.equal(answer.candidates[0].finishReason, 'MAX_TOKENS');
  assert.equal(answer.usageMetadata.candidatesTokenCount, 3);
});

test('a chat goes on', async () => {
  const chat = google.chats.create({ model, config: { temperature: 0 } });
  const first = await chat.sendMessage({ message: 'What is the capital of France?' });
  const pieces = await collect(await chat.sendMessageStream({ message: 'What is the capital of Japan?' }));

  assert.match(first.text, /Paris/);
  assert.ok(pieces.map((piece) => piece.text ?? '').join('').length > 0);
  assert.ok((await chat.sendMessage({ message: 'Thank you!' })).text);
});

test('a function is called and its result is used', async () => {
  const question = { role: 'user', parts: [{ text: IN_PARIS }] };
  const stream = await google.models.generateContentStream(asking([question], { tools: [WEATHER] }));
  const chunks = await collect(stream);
  const calls = chunks.flatMap((chunk) => chunk.functionCalls ?? []);
  const said = chunks.map((chunk) => chunk.candidates[0].content);

  assert.deepEqual(
    calls.map(({ name, args }) => [name, args]),
    [['get_weather', { city: 'Paris' }]],
  );
  const result = { name: 'get_weather', response: { temperature: 21, condition: 'sunny' } };
  const told = { role: 'user', parts: [{ functionResponse: result }] };
  const answer = await ask([question, ...said, told], { tools: [WEATHER] });
  assert.equal(answer.text, 'It is sunny and 21 degrees in Paris.');
});

test('a call can be forced', async () => {
  const functionCallingConfig = { mode: FunctionCallingConfigMode.ANY };
  const answer = await ask('Hello!', { tools: [WEATHER], toolConfig: { functionCallingConfig } });

  assert.equal(answer.functionCalls[0].name, 'get_weather');
});

test('an answer has the form of its schema', async () => {
  const responseSchema = {
    type: Type.OBJECT,
    properties: { name: { type: Type.STRING }, age: { type: Type.INTEGER } },
    required: ['name', 'age'],
    propertyOrdering: ['name', 'age'],
  };
  const answer = await ask(ADA, { responseMimeType: 'application/json', responseSchema });

  assert.deepEqual(JSON.parse(answer.text), { name: 'Ada', age: 36 });
});

test('tokens are counted and models are listed', async () => {
  const { totalTokens } = await google.models.countTokens({ model, contents: 'Hello!' });
  const listed = await collect(await google.models.list({ config: { pageSize: 1 } }));

  assert.ok(totalTokens > 0);
  assert.ok(listed.some(({ name }) => name === `models/${model}`));
});

test('errors have the class and the status of the SDK', async () => {
  const none = google.models.generateContent({ model: 'no-such-model', contents: 'Hi' });
  await assert.rejects(none, (error) => error instanceof ApiError && error.status === 404);
  await assert.rejects(ask('Hi', { temperature: 9 }), (error) => error.status === 400);
  const stranger = connect('hth_no').models.generateContentStream(asking('Hi'));
  await assert.rejects(stranger, (error) => error instanceof ApiError && error.status === 401);
});
