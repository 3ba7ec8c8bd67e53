// compatcanary's probes, as its command runs them.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { scanEndpoint } from 'compatcanary';

import { address, model, token } from './gateway.mjs';

/** By id: what fails, and why. A probe that passes all the same is a failure too. */
const FAILS = {};

const PROBES = [
  'models.list',
  'chat.basic',
  'chat.streaming',
  'chat.tool_call',
  'chat.structured_output',
  'responses.basic',
  'responses.streaming',
];

/** The probes name no temperature, and a small model that chooses freely may never end a text. */
const greedily = (fetch) => (url, init) => {
  const body = init?.body && JSON.stringify({ ...JSON.parse(init.body), temperature: 2, seed: 1 });
  return fetch(url, { ...init, body });
};

describe('compatcanary', () => {
  const unchanged = globalThis.fetch;
  let report;

  before(async () => {
    globalThis.fetch = greedily(unchanged);
    report = await scanEndpoint({ baseUrl: `${address}/v1`, model, apiKey: token });
  });
  after(() => {
    globalThis.fetch = unchanged;
  });

  test('its probes are known', () => {
    assert.deepEqual(
      report.results.map((result) => result.id),
      PROBES,
    );
  });

  for (const id of PROBES) {
    test(id, () => {
      const result = report.results.find((each) => each.id === id);

      assert.equal(result.status, FAILS[id] ? 'fail' : 'pass', result.summary);
    });
  }
});
