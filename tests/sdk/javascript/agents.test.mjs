// Agents: Vercel's AI SDK and the tool runners of OpenAI's and Anthropic's SDKs, each with tools over each dialect that
// vendors speak. Where the client keeps what it is given, the vendor gets its seals back.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogleGenerativeAI } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { GoogleGenAI } from '@google/genai';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';

import { address, connect, token } from './gateway.mjs';
import { VENDORS, found, play, vendorAddress } from './vendor.mjs';

const baseURL = `${address}/v1`;
const WEATHER = 'sunny, 21 degrees';

const PROVIDERS = {
  'openai-compatible': (id) =>
    createOpenAICompatible({ name: 'hearth', baseURL, apiKey: token, includeUsage: true })(id),
  'openai chat': (id) => createOpenAI({ baseURL, apiKey: token }).chat(id),
  'openai responses': (id) => createOpenAI({ baseURL, apiKey: token }).responses(id),
  'openai responses, not stored': (id) => createOpenAI({ baseURL, apiKey: token }).responses(id),
  anthropic: (id) => createAnthropic({ baseURL, apiKey: token })(id),
  google: (id) => createGoogleGenerativeAI({ baseURL: `${address}/v1beta`, apiKey: token })(id),
};

/** The providers that hand back, or name, all that they were given. */
const KEEPS_SEALS = ['openai responses', 'anthropic', 'google'];

const weather = (cities) =>
  tool({
    description: 'Get the weather for a city',
    inputSchema: z.object({ city: z.string() }),
    execute({ city }) {
      cities.push(city);
      return WEATHER;
    },
  });

describe('agents', { skip: !vendorAddress && 'HEARTH_PLAYED_VENDOR is not set' }, () => {
  let vendor;
  before(async () => {
    vendor = await play();
  });
  after(() => vendor.stop());

  for (const [provider, of] of Object.entries(PROVIDERS)) {
    for (const [dialect, id] of Object.entries(VENDORS)) {
      const asking = (cities) => ({
        model: of(id),
        prompt: 'What is the weather in Paris?',
        tools: { get_weather: weather(cities) },
        stopWhen: stepCountIs(3),
        maxOutputTokens: 1000,
        maxRetries: 0,
        providerOptions: provider.endsWith('not stored') ? { openai: { store: false } } : {},
      });

      test(`ai with ${provider} over ${dialect}: a tool is called and its result answered`, async () => {
        const cities = [];
        const { text, steps } = await generateText(asking(cities));
        assert.deepEqual([text, cities, steps.length], [found(WEATHER), ['Paris'], 2]);
        assert.ok(vendor.sealed() || !KEEPS_SEALS.includes(provider), 'the seal was lost');
      });

      test(`ai with ${provider} over ${dialect}: the same in a stream`, async () => {
        const cities = [];
        const { text } = streamText({ ...asking(cities), onError: ({ error }) => assert.fail(String(error)) });
        assert.deepEqual([await text, cities], [found(WEATHER), ['Paris']]);
        assert.ok(vendor.sealed() || !KEEPS_SEALS.includes(provider), 'the seal was lost');
      });
    }
  }

  for (const [dialect, id] of Object.entries(VENDORS)) {
    const anthropic = new Anthropic({ baseURL: address, apiKey: token, maxRetries: 0 });

    for (const stream of [false, true]) {
      test(`Anthropic's tool runner over ${dialect}${stream ? ', streamed' : ''}`, async () => {
        const cities = [];
        const get_weather = betaZodTool({
          name: 'get_weather',
          description: 'Get the weather for a city',
          inputSchema: z.object({ city: z.string() }),
          run({ city }) {
            cities.push(city);
            return WEATHER;
          },
        });
        const runner = anthropic.beta.messages.toolRunner({
          model: id,
          max_tokens: 100,
          messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
          tools: [get_weather],
          stream,
        });
        const message = await runner.runUntilDone();
        assert.deepEqual([message.content.at(-1).text, cities], [found(WEATHER), ['Paris']]);
        assert.equal(message.content[0].type, 'text');
        assert.ok(vendor.sealed(), 'the seal was lost');
      });
    }

    test(`a chat of Google's SDK over ${dialect}, streamed`, async () => {
      const google = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: address } });
      const parametersJsonSchema = { type: 'object', properties: { city: { type: 'string' } } };
      const functionDeclarations = [{ name: 'get_weather', parametersJsonSchema }];
      const chat = google.chats.create({ model: id, config: { tools: [{ functionDeclarations }] } });
      const calls = [];
      for await (const chunk of await chat.sendMessageStream({ message: 'What is the weather in Paris?' })) {
        calls.push(...(chunk.functionCalls ?? []));
      }
      assert.deepEqual(calls.map(({ name, args }) => [name, args]), [['get_weather', { city: 'Paris' }]]);
      // The call's id is left out: its name says which it is.
      const message = [{ functionResponse: { name: 'get_weather', response: { result: WEATHER } } }];
      let said = '';
      for await (const chunk of await chat.sendMessageStream({ message })) said += chunk.text ?? '';
      assert.equal(said, found(WEATHER));
      assert.ok(vendor.sealed(), 'the seal was lost');
    });

    test(`OpenAI's tool runner over ${dialect}`, async () => {
      const cities = [];
      const runner = connect().chat.completions.runTools({
        model: id,
        messages: [{ role: 'user', content: 'What is the weather in Paris?' }],
        tools: [
          {
            type: 'function',
            function: {
              name: 'get_weather',
              parameters: { type: 'object', properties: { city: { type: 'string' } } },
              parse: JSON.parse,
              function({ city }) {
                cities.push(city);
                return WEATHER;
              },
            },
          },
        ],
      });
      assert.deepEqual([await runner.finalContent(), cities], [found(WEATHER), ['Paris']]);
    });
  }
});
