// The OpenAPI document, as openapi-typescript and TypeScript's own compiler read it.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { address } from './gateway.mjs';

const run = promisify(execFile);
const installed = (path) => fileURLToPath(new URL(`node_modules/${path}`, import.meta.url));

const USE = `import type { operations } from './api';
export type Body = operations['create_chat_completion']['requestBody'];
`;

test('types that openapi-typescript makes of the document compile', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-openapi-'));
  const node = (program, ...options) =>
    run(process.execPath, [installed(program), ...options], { cwd: folder });
  try {
    const response = await fetch(`${address}/openapi.json`);
    assert.equal(response.status, 200);
    await writeFile(join(folder, 'openapi.json'), await response.text());
    await writeFile(join(folder, 'use.ts'), USE);
    await node('openapi-typescript/bin/cli.js', 'openapi.json', '-o', 'api.ts');
    await node('typescript/bin/tsc', '--noEmit', '--strict', 'use.ts').catch(({ stdout }) =>
      assert.fail(stdout),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
