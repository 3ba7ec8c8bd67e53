// Webhooks: the library of Standard Webhooks verifies the events of the gateway. It needs the setting webhooks.private_addresses.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

const url = process.env.HEARTH_URL.replace(/\/$/, "");
const headers = { authorization: `Bearer ${process.env.HEARTH_TOKEN}`, "content-type": "application/json" };
const api = (method, path, body) => fetch(`${url}${path}`, { method, headers, body: body && JSON.stringify(body) });

const received = [];
let arrived = () => {};
const server = createServer(async (request, response) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  received.push({ headers: request.headers, body: Buffer.concat(pieces).toString() });
  response.writeHead(204).end();
  arrived();
});

before(() => new Promise((resolve) => server.listen(0, "127.0.0.1", resolve)));
after(() => server.close());

test("the library verifies an event, and refuses a changed one", async (t) => {
  const endpoint = `http://127.0.0.1:${server.address().port}/hook`;
  const created = await api("POST", "/v1/webhooks", { events: ["run.*"], url: endpoint });
  const webhook = await created.json();
  if (created.status === 400 && webhook.error.message.includes("private_addresses")) {
    return t.skip("the gateway doesn't allow webhooks at private addresses");
  }
  assert.equal(created.status, 201);
  try {
    const event = new Promise((resolve) => (arrived = resolve));
    assert.equal((await api("POST", `/v1/webhooks/${webhook.id}/test`)).status, 202);
    await event;
    const { headers, body } = received.at(-1);
    const verifier = new Webhook(webhook.secret);
    assert.equal(verifier.verify(body, headers).type, "webhook.test");
    assert.throws(() => verifier.verify(body.replace("webhook.test", "webhook.best"), headers), WebhookVerificationError);
  } finally {
    await api("DELETE", `/v1/webhooks/${webhook.id}`);
  }
});
