// `hearth login` at oidc-provider, a certified OpenID provider, by both flows. The test is the browser: it fills in the
// provider's forms.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import { Provider } from 'oidc-provider';

import { address } from './gateway.mjs';

const LOGIN_TIMEOUT_MS = 60_000;
const REDIRECTS_MAX_COUNT = 20;
const FORMS_MAX_COUNT = 8;

const issuerAddress = process.env.HEARTH_PLAYED_ISSUER;
const hearth = process.env.HEARTH_BINARY;
const skip = issuerAddress && hearth ? false : 'HEARTH_PLAYED_ISSUER and HEARTH_BINARY are not set';
const issuer = `http://${issuerAddress}`;

let server;
let home;

before(async () => {
  if (skip) return;
  home = await mkdtemp(path.join(tmpdir(), 'hearth-sign-in-'));
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'hearth-cli',
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
        response_types: ['code'],
        redirect_uris: ['http://127.0.0.1/callback'],
      },
    ],
    pkce: { required: () => true },
    features: { deviceFlow: { enabled: true }, devInteractions: { enabled: true } },
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'] },
    // The claims of the scopes are in the ID token, as with other providers.
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, name: `Name of ${id}`, email: `${id}@example.com`, email_verified: true }),
    }),
  });
  server = http.createServer(provider.callback());
  const { hostname, port } = new URL(issuer);
  await new Promise((resolve) => server.listen(Number(port), hostname, resolve));
});

after(async () => {
  if (skip) return;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(home, { recursive: true });
});

/** A browser with cookies, which follows redirects. */
class Browser {
  #cookies = new Map();

  async open(url, options = {}) {
    for (let count = 0; count < REDIRECTS_MAX_COUNT; count += 1) {
      const target = new URL(url);
      const cookies = [...this.#cookies.values()].filter(
        (cookie) => cookie.host === target.host && target.pathname.startsWith(cookie.path),
      );
      const headers = { ...options.headers, cookie: cookies.map((cookie) => cookie.pair).join('; ') };
      const response = await fetch(url, { ...options, headers, redirect: 'manual' });
      for (const text of response.headers.getSetCookie()) {
        const [pair, ...attributes] = text.split('; ');
        const at = attributes.find((attribute) => attribute.toLowerCase().startsWith('path='));
        const cookie = { pair, path: at?.slice('path='.length) ?? '/', host: target.host };
        this.#cookies.set(`${pair.split('=')[0]} ${cookie.path}`, cookie);
      }
      if (response.status < 300 || response.status >= 400) {
        return { url, status: response.status, text: await response.text() };
      }
      url = new URL(response.headers.get('location'), url).href;
      options = {};
    }
    throw new Error('too many redirects');
  }

  /** Opens a page, and submits each form that follows: the sign-in as `user`, the consent, and a device's code. */
  async signIn(url, user, code) {
    let page = await this.open(url);
    for (let count = 0; count < FORMS_MAX_COUNT; count += 1) {
      const form = page.text.match(/<form[^>]*action="([^"]+)"[\s\S]*?<\/form>/);
      if (!form) return page;
      const fields = new URLSearchParams();
      for (const [input] of form[0].matchAll(/<input[^>]*>/g)) {
        const attribute = (name) => input.match(new RegExp(`${name}="([^"]*)"`))?.[1];
        const name = attribute('name');
        const filled = { login: user, password: 'any', user_code: code };
        if (name) fields.set(name, filled[name] ?? attribute('value') ?? '');
      }
      page = await this.open(new URL(form[1], page.url).href, {
        method: 'POST',
        body: fields.toString(),
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
      });
    }
    throw new Error('too many forms');
  }
}

const environment = () => ({ PATH: process.env.PATH, HOME: home, NO_PROXY: '127.0.0.1' });

/** Starts `hearth login`. `line` waits for its first line with a pattern, `end` for its end. */
function login(...options) {
  const child = spawn(hearth, ['login', address, '--provider', 'played', ...options], {
    env: environment(),
    timeout: LOGIN_TIMEOUT_MS,
  });
  let output = '';
  const waiting = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data) => {
      output += data;
      waiting.forEach((check) => check());
    });
  }
  const ended = new Promise((resolve) => child.on('close', (status) => resolve({ status, output })));
  const line = (pattern) =>
    new Promise((resolve, reject) => {
      const check = () => {
        const match = output.match(pattern);
        if (match) resolve(match);
      };
      waiting.push(check);
      check();
      ended.then(() => reject(new Error(`hearth login has ended: ${output}`)));
    });
  return { line, ended };
}

async function whoami() {
  const { stdout } = await promisify(execFile)(hearth, ['whoami', '--json', '--url', address], {
    env: environment(),
  });
  return JSON.parse(stdout);
}

test('authorization code flow signs in', { skip }, async () => {
  const { line, ended } = login('--no-browser');
  const [url] = await line(/http:\S+\/auth\?\S+/);
  const page = await new Browser().signIn(url, 'ada');
  assert.match(page.text, /You have signed in/);
  const { status, output } = await ended;
  assert.equal(status, 0, output);
  assert.equal((await whoami()).name, 'Name of ada');
});

test('device flow signs in', { skip }, async () => {
  const { line, ended } = login('--device');
  const [, code] = await line(/enter the code (\S+)/);
  const page = await new Browser().signIn(`${issuer}/device`, 'eve', code);
  assert.match(page.text, /successful/);
  const { status, output } = await ended;
  assert.equal(status, 0, output);
  assert.equal((await whoami()).name, 'Name of eve');
});
