// Gemini CLI as it comes, over each dialect that vendors speak. It is run where HEARTH_GEMINI_CLI names its program.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';

import { address, token } from './gateway.mjs';
import { VENDORS, play, vendorAddress } from './vendor.mjs';

const program = process.env.HEARTH_GEMINI_CLI;
const missing = !program ? 'HEARTH_GEMINI_CLI is not set' : !vendorAddress && 'HEARTH_PLAYED_VENDOR is not set';
const run = promisify(execFile);

const SETTINGS = {
  security: { auth: { selectedType: 'gemini-api-key' } },
  privacy: { usageStatisticsEnabled: false },
  general: { disableAutoUpdate: true },
};

/** Only these of the environment: nobody's keys or settings. */
const environment = (home) => ({
  PATH: process.env.PATH,
  HOME: home,
  GEMINI_API_KEY: token,
  GOOGLE_GEMINI_BASE_URL: address,
  GEMINI_CLI_TRUST_WORKSPACE: 'true',
});

describe('Gemini CLI', { skip: missing }, () => {
  let vendor;
  let home;
  before(async () => {
    vendor = await play({ command: 'echo marker-42' });
    home = await mkdtemp(join(tmpdir(), 'hearth-gemini-cli-'));
    await mkdir(join(home, '.gemini'));
    await writeFile(join(home, '.gemini', 'settings.json'), JSON.stringify(SETTINGS));
  });
  after(async () => {
    await vendor.stop();
    await rm(home, { recursive: true, force: true });
  });

  for (const [dialect, id] of Object.entries(VENDORS)) {
    test(`runs a command in the shell over ${dialect}`, async () => {
      const asked = ['-p', 'Run the command.', '-m', id, '--approval-mode', 'yolo'];
      const options = { cwd: home, env: environment(home), timeout: 100_000 };
      const { stdout } = await run(program, asked, options);

      assert.match(stdout, /I found: [^]*marker-42/);
      assert.ok(vendor.sealed(), 'the seal was lost');
    });
  }
});
