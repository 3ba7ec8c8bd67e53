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

/** The examples of a body of an operation. */
const examplesOf = ({ requestBody }) => {
  const content = requestBody?.content?.['application/json'] ?? {};
  const several = Object.values(content.examples ?? {}).map(({ value }) => value);
  return 'example' in content ? [content.example] : several;
};

/** A module that uses the types of every operation, and has the examples as bodies. */
const use = ({ paths }) => {
  const operations = Object.values(paths).flatMap(Object.values).filter(({ operationId }) => operationId);
  assert.ok(operations.length > 100, String(operations.length));
  const lines = operations.flatMap((operation, number) => {
    const type = `operations['${operation.operationId}']`;
    const body = `NonNullable<${type}['requestBody']>['content']['application/json']`;
    return [
      `export type Responses${number} = ${type}['responses'];`,
      ...examplesOf(operation).map(
        (example, index) => `export const body${number}_${index}: ${body} = ${JSON.stringify(example)};`,
      ),
    ];
  });
  return ["import type { operations } from './api';", ...lines, ''].join('\n');
};

test('types that openapi-typescript makes of the document compile, and the examples have them', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'hearth-openapi-'));
  const node = (program, ...options) =>
    run(process.execPath, [installed(program), ...options], { cwd: folder });
  try {
    const response = await fetch(`${address}/openapi.json`);
    assert.equal(response.status, 200);
    const document = await response.text();
    await writeFile(join(folder, 'openapi.json'), document);
    await writeFile(join(folder, 'use.ts'), use(JSON.parse(document)));
    await node('openapi-typescript/bin/cli.js', 'openapi.json', '-o', 'api.ts');
    await node('typescript/bin/tsc', '--noEmit', '--strict', 'use.ts').catch(({ stdout }) =>
      assert.fail(stdout),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});
