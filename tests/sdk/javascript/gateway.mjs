// What the tests need to know about the gateway under test, and a few ways to talk to it.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import OpenAI from 'openai';

const CANCEL_DEADLINE_MS = 20_000;
const POLL_INTERVAL_MS = 50;

/** Far more than the 4,096 tokens that the test model's context holds. */
export const PROMPT_TOO_LONG = 'word '.repeat(10_000);

/** A run that only ends early if somebody stops it: it fills most of the context. */
export const ENDLESS = { max_tokens: 3500, ignore_eos: true };

const missing = ['HEARTH_URL', 'HEARTH_TOKEN', 'HEARTH_MODEL'].filter((name) => !process.env[name]);
if (missing.length > 0) {
  throw new Error(`set ${missing.join(', ')} (see tests/sdk/README.md)`);
}

/** Where the gateway is, without `/v1`. */
export const address = process.env.HEARTH_URL.replace(/\/+$/, '');
export const token = process.env.HEARTH_TOKEN;
export const model = process.env.HEARTH_MODEL;

/** No retries and a short timeout: a failure must show, not be smoothed over. */
export function connect(options = {}) {
  return new OpenAI({
    baseURL: `${address}/v1`,
    apiKey: token,
    maxRetries: 0,
    timeout: 60_000,
    ...options,
  });
}

export const client = connect();

/** A conversation of one user message. */
export const user = (content) => [{ role: 'user', content }];

/** The parameters of one user message, greedy unless the test says otherwise. */
export const asking = (prompt, parameters = {}) => ({
  model,
  messages: user(prompt),
  temperature: 0,
  ...parameters,
});

/** Asks, and waits for the whole completion. */
export const ask = (prompt, parameters) => client.chat.completions.create(asking(prompt, parameters));

/** Asks, and gives only the text of the answer. */
export async function answer(prompt, parameters) {
  return (await ask(prompt, parameters)).choices[0].message.content;
}

/** Opens a stream: `{ data: the chunks, response, request_id }`. */
export const open = (prompt, parameters, options) =>
  client.chat.completions
    .create(asking(prompt, { ...parameters, stream: true }), options)
    .withResponse();

/** Reads a stream to its end. */
export async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** Asks, and gives every chunk of the answer. */
export async function chunksOf(prompt, parameters) {
  const { data: stream } = await open(prompt, parameters);
  return collect(stream);
}

const choicesOf = (chunks) => chunks.flatMap((chunk) => chunk.choices);

/** The answer of a completion that came in chunks. */
export const joined = (chunks) =>
  choicesOf(chunks)
    .map((choice) => choice.delta.content ?? '')
    .join('');

/** Every finish reason in the stream; a sound stream has exactly one. */
export const finishReasons = (chunks) =>
  choicesOf(chunks)
    .map((choice) => choice.finish_reason)
    .filter((reason) => reason != null);

/** The counts that depend on the texts alone; how much of them was cached may differ. */
export const counts = ({ prompt_tokens, completion_tokens, total_tokens }) => ({
  prompt_tokens,
  completion_tokens,
  total_tokens,
});

/** Polls `GET /v1/requests/{id}` until the run is cancelled, and gives its last state. */
export async function waitUntilCancelled(requestId) {
  const deadline = Date.now() + CANCEL_DEADLINE_MS;
  for (;;) {
    const run = await client.get(`/requests/${requestId}`);
    if (run.status === 'cancelled') return run;
    assert.ok(
      Date.now() < deadline,
      `not cancelled after ${CANCEL_DEADLINE_MS} ms: ${JSON.stringify(run)}`,
    );
    await sleep(POLL_INTERVAL_MS);
  }
}

/** Awaits the rejection of `promise` with an error of `kind`, and gives that error. */
export async function rejection(promise, kind) {
  const [outcome] = await Promise.allSettled([promise]);
  assert.equal(outcome.status, 'rejected', 'the request was accepted');
  assert.ok(outcome.reason instanceof kind, `${kind.name} expected, got ${outcome.reason}`);
  return outcome.reason;
}
