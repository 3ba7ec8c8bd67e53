// Codex as it comes, over each dialect that vendors speak. It is run where HEARTH_CODEX names its program.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { address, token } from './gateway.mjs';
import { VENDORS, play, vendorAddress } from './vendor.mjs';

const program = process.env.HEARTH_CODEX;
const missing = !program ? 'HEARTH_CODEX is not set' : !vendorAddress && 'HEARTH_PLAYED_VENDOR is not set';
const run = promisify(execFile);

/** Only these of the environment: nobody's keys or settings. */
const environment = (home) => ({ PATH: process.env.PATH, HOME: home, CODEX_HOME: home, HEARTH_TOKEN: token });

const settings = `
model_provider = "hearth"

[model_providers.hearth]
name = "Hearth"
base_url = "${address}/v1"
env_key = "HEARTH_TOKEN"
wire_api = "responses"
`;

describe('codex', { skip: missing }, () => {
  let vendor;
  let home;
  let folder;
  before(async () => {
    vendor = await play({ command: 'echo made > made.txt; cat made.txt' });
    home = await mkdtemp(join(tmpdir(), 'hearth-codex-home-'));
    folder = await mkdtemp(join(tmpdir(), 'hearth-codex-'));
    await writeFile(join(home, 'config.toml'), settings);
  });
  after(async () => {
    await vendor.stop();
    await Promise.all([home, folder].map((path) => rm(path, { recursive: true, force: true })));
  });

  const codex = async (model, ...words) => {
    // The folder is of this test alone, and what runs in it is the vendor's script above.
    const common = ['--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', '-m', model];
    const child = run(program, ['exec', ...words.slice(0, -1), ...common, words.at(-1)], {
      cwd: folder,
      env: environment(home),
      timeout: 60_000,
    });
    child.child.stdin.end();
    return (await child).stdout;
  };

  for (const [dialect, model] of Object.entries(VENDORS)) {
    test(`a command runs over ${dialect}`, async () => {
      await rm(join(folder, 'made.txt'), { force: true });
      assert.match(await codex(model, 'Make the file.'), /I found:[^]*made/);
      assert.equal(await readFile(join(folder, 'made.txt'), 'utf8'), 'made\n');
      const read = vendor.read(vendor.asked.at(-1));
      assert.ok(read.tools.includes('multi_agent_v1__spawn_agent'), String(read.tools));
      assert.deepEqual(read.hosted ?? [], dialect === 'responses' ? ['web_search'] : []);
    });

    test(`a session is resumed over ${dialect}`, async () => {
      await codex(model, 'Make the file.');
      const before = vendor.asked.length;
      assert.match(await codex(model, 'resume', '--last', 'And again.'), /I found:/);
      const said = JSON.stringify(vendor.asked[before].body);
      assert.ok(said.includes('Make the file.') && said.includes('And again.'), said.slice(0, 200));
    });

    test(`an output schema is kept over ${dialect}`, async () => {
      const schema = join(folder, 'schema.json');
      const properties = { answer: { type: 'string' } };
      await writeFile(
        schema,
        JSON.stringify({ type: 'object', properties, required: ['answer'], additionalProperties: false }),
      );
      const said = await codex(model, '--output-schema', schema, 'What is the weather?');
      assert.deepEqual(JSON.parse(said.trim().split('\n').at(-1)), { answer: 'sunny' });
    });
  }
});
