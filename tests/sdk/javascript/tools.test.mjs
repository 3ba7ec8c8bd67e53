// Tools: the model asks for a call, the program makes it, the model goes on.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { BadRequestError } from 'openai';

import {
  ask,
  asking,
  chunksOf,
  client,
  finishReasons,
  joined,
  model,
  rejection,
  user,
} from './gateway.mjs';

const PARAMETERS = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
};
const WEATHER = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather for a city',
    parameters: PARAMETERS,
  },
};
const IN_PARIS = 'What is the weather in Paris?';
const IN_TWO_CITIES = 'What is the weather in Paris and London?';
const RESULT = '{"temperature":21,"condition":"sunny"}';

const citiesOf = (calls) => calls.map((call) => JSON.parse(call.function.arguments).city);

test('a tool is called', async () => {
  const { choices } = await ask(IN_PARIS, { tools: [WEATHER] });
  const [{ message, finish_reason }] = choices;

  assert.equal(finish_reason, 'tool_calls');
  assert.equal(message.content, null);
  assert.equal(message.tool_calls.length, 1);
  const [call] = message.tool_calls;
  assert.equal(call.type, 'function');
  assert.equal(call.function.name, 'get_weather');
  assert.ok(call.id);
  assert.deepEqual(citiesOf([call]), ['Paris']);
});

test('several calls at once, and their results', async () => {
  const first = await ask(IN_TWO_CITIES, { tools: [WEATHER] });
  const { message } = first.choices[0];
  const results = message.tool_calls.map((call, index) => ({
    role: 'tool',
    tool_call_id: call.id,
    content: JSON.stringify({ temperature: 11 + index }),
  }));

  assert.equal(new Set(message.tool_calls.map((call) => call.id)).size, 2);
  const second = await ask('', {
    messages: [...user(IN_TWO_CITIES), message, ...results],
    tools: [WEATHER],
  });
  assert.equal(second.choices[0].finish_reason, 'stop');
  assert.ok(second.choices[0].message.content);
});

test('one call where several are not wanted', async () => {
  const { choices } = await ask(IN_TWO_CITIES, { tools: [WEATHER], parallel_tool_calls: false });

  assert.equal(choices[0].message.tool_calls.length, 1);
});

test('the chunks of a call add up', async () => {
  const chunks = await chunksOf(IN_PARIS, { tools: [WEATHER] });
  const deltas = chunks.flatMap((chunk) =>
    chunk.choices.flatMap((choice) => choice.delta.tool_calls ?? []),
  );
  const [first, ...rest] = deltas;

  assert.equal(first.index, 0);
  assert.equal(first.type, 'function');
  assert.equal(first.function.name, 'get_weather');
  assert.ok(first.id && rest.every((delta) => delta.id === undefined));
  const written = deltas.map((delta) => delta.function.arguments ?? '').join('');
  assert.deepEqual(JSON.parse(written), { city: 'Paris' });
  assert.equal(joined(chunks), '');
  assert.deepEqual(finishReasons(chunks), ['tool_calls']);
});

describe('the helpers of the SDK', () => {
  test('stream puts a call together', async () => {
    const stream = client.chat.completions.stream(asking(IN_PARIS, { tools: [WEATHER] }));
    const message = await stream.finalMessage();

    assert.equal(message.content, null);
    assert.deepEqual(citiesOf(message.tool_calls), ['Paris']);
  });

  const run = (options) => {
    const called = [];
    const getWeather = ({ city }) => {
      called.push(city);
      return RESULT;
    };
    const tool = {
      type: 'function',
      function: { ...WEATHER.function, function: getWeather, parse: JSON.parse },
    };
    const runner = client.chat.completions.runTools(asking(IN_PARIS, { tools: [tool], ...options }));
    return { called, runner };
  };

  for (const stream of [false, true]) {
    test(`runTools makes the call and goes on, stream ${stream}`, async () => {
      const { called, runner } = run({ stream });

      assert.equal(await runner.finalContent(), 'It is sunny and 21 degrees in Paris.');
      assert.deepEqual(called, ['Paris']);
    });
  }
});

describe('the choice', () => {
  const named = { type: 'function', function: { name: 'get_weather' } };
  for (const tool_choice of ['required', named]) {
    test(`a call can be demanded: ${JSON.stringify(tool_choice)}`, async () => {
      const { choices } = await ask('Hello!', { tools: [WEATHER], tool_choice, max_tokens: 200 });
      const calls = choices[0].message.tool_calls;

      assert.ok(calls.length > 0);
      assert.ok(calls.every((call) => call.function.name === 'get_weather'));
      assert.ok(citiesOf(calls).every((city) => typeof city === 'string'));
    });
  }

  test('a call can be ruled out', async () => {
    const { choices } = await ask(IN_PARIS, { tools: [WEATHER], tool_choice: 'none' });

    assert.ok(choices[0].message.content);
    assert.equal(choices[0].message.tool_calls, undefined);
  });
});

describe('what cannot be', () => {
  const named = (name, parameters) => ({ type: 'function', function: { name, parameters } });
  const bad = [
    [{ tools: [named('no name')] }, 'tools[0].function.name'],
    [{ tools: [WEATHER, WEATHER] }, 'tools[1].function.name'],
    [{ tools: [named('f', [])] }, 'tools[0].function.parameters'],
    [{ tool_choice: 'required' }, 'tool_choice'],
    [{ functions: [{ name: 'f' }] }, 'functions'],
  ];
  for (const [change, param] of bad) {
    test(`is named: ${param} of ${JSON.stringify(change).slice(0, 60)}`, async () => {
      const error = await rejection(ask('Hello', change), BadRequestError);

      assert.equal(error.param, param);
    });
  }

  test('a result without its call is named', async () => {
    const messages = [...user(IN_PARIS), { role: 'tool', tool_call_id: 'call_1', content: RESULT }];
    const error = await rejection(
      client.chat.completions.create({ model, messages }),
      BadRequestError,
    );

    assert.equal(error.param, 'messages[1].tool_call_id');
  });
});
