// Vercel's AI SDK: one program, and each of its providers that speaks a dialect of the gateway's.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  Output,
  embed,
  embedMany,
  generateObject,
  generateText,
  stepCountIs,
  streamObject,
  streamText,
  tool,
} from 'ai';
import { z } from 'zod';

import { address, collect, model, rejection, token } from './gateway.mjs';

const baseURL = `${address}/v1`;

/** The providers' models, for the gateway's `id` and with its `apiKey`. */
const DIALECTS = {
  'openai-compatible': (id, apiKey) =>
    createOpenAICompatible({
      name: 'hearth',
      baseURL,
      apiKey,
      includeUsage: true,
      supportsStructuredOutputs: true,
    })(id),
  'openai chat': (id, apiKey) => createOpenAI({ baseURL, apiKey }).chat(id),
  'openai responses': (id, apiKey) => createOpenAI({ baseURL, apiKey }).responses(id),
  anthropic: (id, apiKey) => createAnthropic({ baseURL, apiKey })(id),
  google: (id, apiKey) => createGoogleGenerativeAI({ baseURL: `${address}/v1beta`, apiKey })(id),
};

const QUESTION = 'What is the capital of France?';
const IN_PARIS = 'What is the weather in Paris?';
const ADA = 'Give me JSON with name and age for Ada.';
const PERSON = z.object({ name: z.string(), age: z.number().int() });
const SUNNY = 'It is sunny and 21 degrees in Paris.';

const getWeather = (execute) =>
  tool({
    description: 'Get the weather for a city',
    inputSchema: z.object({ city: z.string() }),
    execute,
  });

/** The tool, with what it gives, and the cities that it was asked for. */
const weather = () => {
  const cities = [];
  const execute = ({ city }) => {
    cities.push(city);
    return { temperature: 21, condition: 'sunny' };
  };
  return { cities, tools: { get_weather: getWeather(execute) } };
};

for (const [name, of] of Object.entries(DIALECTS)) {
  describe(name, () => {
    /** Greedy unless the test says otherwise, and without retries: a failure must show. */
    const asking = (prompt, parameters = {}) => ({
      model: of(model, token),
      prompt,
      temperature: 0,
      maxOutputTokens: 60,
      maxRetries: 0,
      ...parameters,
    });

    test('a text is generated', async () => {
      const result = await generateText(asking(QUESTION, { system: 'You are kind.' }));

      assert.match(result.text, /Paris/);
      assert.equal(result.finishReason, 'stop');
      assert.deepEqual(result.warnings ?? [], []);
      const { inputTokens, outputTokens, totalTokens } = result.usage;
      assert.ok(inputTokens > 0 && outputTokens > 0);
      assert.equal(totalTokens, inputTokens + outputTokens);
    });

    test('a text is streamed', async () => {
      const whole = await generateText(asking(QUESTION));
      const stream = streamText(asking(QUESTION));
      const pieces = await collect(stream.textStream);

      assert.ok(pieces.length > 1);
      assert.equal(pieces.join(''), whole.text);
      assert.equal(await stream.finishReason, 'stop');
      assert.equal((await stream.usage).outputTokens, whole.usage.outputTokens);
    });

    test('the limit is told', async () => {
      const result = await generateText(asking('Tell me a story.', { maxOutputTokens: 3 }));

      assert.equal(result.finishReason, 'length');
      assert.equal(result.usage.outputTokens, 3);
    });

    test('an object is generated and streamed', async () => {
      const { object } = await generateObject(asking(ADA, { schema: PERSON }));
      const stream = streamObject(asking(ADA, { schema: PERSON }));
      const parts = await collect(stream.partialObjectStream);

      assert.equal(PERSON.parse(object).name, 'Ada');
      assert.deepEqual(await stream.object, object);
      assert.deepEqual(parts.at(-1), object);
    });

    test('the output of a text has a form', async () => {
      const form = Output.object({ schema: PERSON });
      const result = await generateText(asking(ADA, { output: form }));

      assert.equal(PERSON.parse(result.output).name, 'Ada');
    });

    test('a tool is called and its result is told', async () => {
      const { cities, tools } = weather();
      const result = await generateText(asking(IN_PARIS, { tools, stopWhen: stepCountIs(3) }));

      assert.equal(result.text, SUNNY);
      assert.equal(result.steps.length, 2);
      assert.equal(result.steps[0].finishReason, 'tool-calls');
      assert.deepEqual(cities, ['Paris']);
    });

    test('a tool is called and its result is told, in a stream', async () => {
      const { cities, tools } = weather();
      const stream = streamText(asking(IN_PARIS, { tools, stopWhen: stepCountIs(3) }));

      assert.equal((await collect(stream.textStream)).join(''), SUNNY);
      assert.deepEqual(cities, ['Paris']);
    });

    for (const toolChoice of ['required', { type: 'tool', toolName: 'get_weather' }]) {
      test(`a call can be demanded: ${JSON.stringify(toolChoice)}`, async () => {
        const tools = { get_weather: getWeather(undefined) };
        const asked = asking('Hello!', { tools, toolChoice, maxOutputTokens: 200 });
        const result = await generateText(asked);

        assert.ok(result.toolCalls.length > 0);
        assert.ok(result.toolCalls.every((call) => typeof call.input.city === 'string'));
      });
    }

    test('a call can be ruled out', async () => {
      const { tools } = weather();
      const result = await generateText(asking(IN_PARIS, { tools, toolChoice: 'none' }));

      assert.deepEqual(result.toolCalls, []);
    });

    test('a conversation goes on', async () => {
      const said = [{ role: 'user', content: 'My name is Ada.' }];
      const first = await generateText(asking(undefined, { messages: said }));
      const messages = [
        ...said,
        ...first.response.messages,
        { role: 'user', content: 'What is my name?' },
      ];
      const second = await generateText(asking(undefined, { messages }));

      assert.match(second.text, /Ada/);
    });

    const refused = (change) => rejection(generateText(asking('Hi', change)), APICallError);

    test('an unknown model is an error of the right kind', async () => {
      const error = await refused({ model: of('no-such-model', token) });

      assert.equal(error.statusCode, 404);
      assert.match(error.message, /no-such-model/);
      assert.equal(error.isRetryable, false);
    });

    test('a stranger is an error of the right kind', async () => {
      assert.equal((await refused({ model: of(model, 'hth_no') })).statusCode, 401);
    });

    test('a parameter out of its range is named', async () => {
      const error = await refused({ topP: 7 });

      assert.equal(error.statusCode, 400);
      assert.match(error.message, /top_?p/i);
    });

    test('an error of a stream is one of its parts', async () => {
      const asked = asking('Hi', { model: of('no-such-model', token), onError: () => {} });
      const parts = await collect(streamText(asked).fullStream);

      const { error } = parts.find((part) => part.type === 'error');
      assert.equal(error.statusCode, 404);
    });
  });
}

describe('embeddings', { skip: !process.env.HEARTH_EMBEDDING_MODEL }, () => {
  const id = process.env.HEARTH_EMBEDDING_MODEL;
  const models = {
    openai: () => createOpenAI({ baseURL, apiKey: token }).embedding(id),
    'openai-compatible': () =>
      createOpenAICompatible({ name: 'hearth', baseURL, apiKey: token }).embeddingModel(id),
  };
  for (const [name, of] of Object.entries(models)) {
    test(`one and many are the same: ${name}`, async () => {
      const values = ['The cat sat on the mat.', 'Stock prices fell sharply.'];
      const one = await embed({ model: of(), value: values[0], maxRetries: 0 });
      const many = await embedMany({ model: of(), values, maxRetries: 0 });

      assert.equal(many.embeddings.length, 2);
      assert.ok(many.usage.tokens > one.usage.tokens);
      const length = Math.hypot(...one.embedding);
      assert.ok(Math.abs(length - 1) < 1e-3, `a length of ${length}`);
      const product = one.embedding.reduce((sum, x, i) => sum + x * many.embeddings[0][i], 0);
      assert.ok(Math.abs(product - 1) < 1e-3, `a likeness of ${product}`);
    });
  }
});
