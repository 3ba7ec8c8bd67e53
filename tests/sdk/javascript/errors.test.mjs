// Errors: the SDK throws the class that its users catch, and the body says what to change.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { AuthenticationError, BadRequestError, NotFoundError } from 'openai';

import {
  PROMPT_TOO_LONG,
  ask,
  asking,
  client,
  connect,
  model,
  rejection,
  token,
  user,
} from './gateway.mjs';

/** Every error has this envelope, on every route. */
function assertEnvelope(error, status, code, type) {
  assert.equal(error.status, status);
  assert.equal(error.code, code);
  assert.equal(error.type, type);
  for (const field of ['code', 'type', 'message', 'param', 'request_id']) {
    assert.ok(field in error.error, `the body lacks error.${field}`);
  }
  assert.ok(error.error.message);
  assert.ok(error.error.request_id);
  assert.equal(error.error.request_id, error.requestID);
  assert.equal(error.error.retryable, false);
}

/** Sends a body as it stands. */
const chat = (body) => client.post('/chat/completions', { body });

describe('keys', () => {
  const wrongKeys = {
    'of no kind': 'wrong',
    'of another vendor': 'sk-0123456789',
    'with a bad checksum': `hth_${'0'.repeat(49)}`,
  };

  for (const [what, apiKey] of Object.entries(wrongKeys)) {
    test(`a key ${what} is refused`, async () => {
      const error = await rejection(connect({ apiKey }).models.list(), AuthenticationError);

      assertEnvelope(error, 401, 'unauthorized', 'authentication_error');
    });
  }

  test('a missing key is refused', async () => {
    const stranger = connect({ defaultHeaders: { Authorization: null } });
    const error = await rejection(
      stranger.chat.completions.create(asking('Hello')),
      AuthenticationError,
    );

    assertEnvelope(error, 401, 'unauthorized', 'authentication_error');
  });

  test('the key may come as x-api-key', async () => {
    const other = connect({ defaultHeaders: { Authorization: null, 'X-API-Key': token } });
    const { data } = await other.models.list();

    assert.ok(data.some((entry) => entry.id === model));
  });
});

describe('what is not there', () => {
  for (const stream of [false, true]) {
    test(`an unknown model is not found, stream ${stream}`, async () => {
      const error = await rejection(ask('Hello', { model: 'no-such-model', stream }), NotFoundError);

      assertEnvelope(error, 404, 'model_not_found', 'invalid_request_error');
      assert.equal(error.param, 'model');
    });
  }

  test('an unknown route is not found', async () => {
    const error = await rejection(client.get('/no/such/route'), NotFoundError);

    assertEnvelope(error, 404, 'not_found', 'invalid_request_error');
  });
});

describe('bad requests', () => {
  const badParameters = [
    [{ temperature: 3 }, 'temperature'],
    [{ temperature: -0.1 }, 'temperature'],
    [{ temperature: 'hot' }, 'temperature'],
    [{ top_p: 1.5 }, 'top_p'],
    [{ max_tokens: 0 }, 'max_tokens'],
    [{ max_tokens: -1 }, 'max_tokens'],
    [{ max_completion_tokens: 0 }, 'max_completion_tokens'],
    [{ stream: 'yes' }, 'stream'],
    [{ messages: [] }, 'messages'],
    [{ messages: 'Hello' }, 'messages'],
    [{ messages: undefined }, 'messages'],
  ];

  for (const [change, param] of badParameters) {
    const shown = Object.entries(change).map(([name, value]) => `${name} ${JSON.stringify(value)}`);
    test(`the parameter is named: ${shown}`, async () => {
      const error = await rejection(
        chat({ model, messages: user('Hello'), ...change }),
        BadRequestError,
      );

      assertEnvelope(error, 400, 'invalid_request', 'invalid_request_error');
      assert.equal(error.param, param);
    });
  }

  const badMessages = {
    'an unknown role': { role: 'wizard', content: 'Hello' },
    'no role': { content: 'Hello' },
    'content of a wrong type': { role: 'user', content: 42 },
    'an unknown kind of part': { role: 'user', content: [{ type: 'smell', smell: 'pine' }] },
  };

  for (const [what, message] of Object.entries(badMessages)) {
    test(`a message is named by its place: ${what}`, async () => {
      const error = await rejection(
        chat({ model, messages: [...user('Hello'), message] }),
        BadRequestError,
      );

      assertEnvelope(error, 400, 'invalid_request', 'invalid_request_error');
      assert.ok(error.param.startsWith('messages[1]'), `param is ${error.param}`);
    });
  }

  test('an error before the first chunk is an ordinary error', async () => {
    const error = await rejection(ask('Hello', { temperature: 3, stream: true }), BadRequestError);

    assert.match(error.headers.get('content-type'), /^application\/json/);
    assert.equal(error.param, 'temperature');
  });

  for (const body of ['{', '[]', '"Hello"', '\u0000']) {
    test(`a body that is no JSON object: ${JSON.stringify(body)}`, async () => {
      const sent = client.post('/chat/completions', {
        body,
        headers: { 'Content-Type': 'application/json' },
      });
      const error = await rejection(sent, BadRequestError);

      assertEnvelope(error, 400, 'invalid_request', 'invalid_request_error');
    });
  }

  for (const stream of [false, true]) {
    test(`a prompt longer than the context is refused, stream ${stream}`, async () => {
      const error = await rejection(ask(PROMPT_TOO_LONG, { stream }), BadRequestError);

      assertEnvelope(error, 400, 'context_length_exceeded', 'invalid_request_error');
    });
  }

  test('a refused request leaves the connection usable', async () => {
    for (let i = 0; i < 3; i += 1) {
      await rejection(ask('Hello', { temperature: 3 }), BadRequestError);
    }

    assert.ok((await client.models.list()).data.length > 0);
  });
});
