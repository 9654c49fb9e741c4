import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { strToU8, zipSync } from 'fflate';
import { runAction } from '../../lab/runner.ts';
import { PINS, thisPlatform } from '../../src/adapters/packer/pins.ts';
import { build, describeWithPacker as describe, labOfTests, template } from './build-lab.ts';

/** Where Packer comes from, and how it is verified before it runs. */

const lab = await labOfTests();
const folders: string[] = [];
const folder = (): string => {
  const path = mkdtempSync(join(tmpdir(), 'build-packer-'));
  folders.push(path);
  return path;
};
afterAll(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

describe('packer init', () => {
  const fake = (init: string) => {
    const bin = folder();
    const script = `#!/bin/sh\ncase "$1" in\nversion) echo "Packer v1.16.0" ;;\ninspect) echo "1,,ui,say,ok" ;;\ninit) echo x >>"$0.inits"; ${init} ;;\n*) echo "1,,ui,error,reached $1"; exit 1 ;;\nesac\n`;
    writeFileSync(join(bin, 'packer'), script, { mode: 0o755 });
    return { PATH: `${bin}:/usr/bin:/bin`, inits: () => readFileSync(join(bin, 'packer.inits'), 'utf8').split('x').length - 1 };
  };
  const LIMITED = 'echo "1,,ui,error,Failed getting the plugin: Plugin host rate limited the plugin getter. Try again in 20m."; exit 1';

  test('scenario 13: that is rate limited is tried again, then named with its fix', async () => {
    const { PATH, inits } = fake(LIMITED);
    const ran = await build(lab, { with: { family: 'limited' }, env: { PATH } });
    expect(ran.outputs['outcome']).toBe('usage');
    expect(ran.errors.join()).toContain('PACKER_GITHUB_API_TOKEN');
    expect(inits()).toBe(3);
  });

  test('scenario 13: that succeeds the second time goes on', async () => {
    const { PATH, inits } = fake(`[ "$(wc -l <"$0.inits")" -gt 1 ] || { ${LIMITED}; }`);
    const ran = await build(lab, { with: { family: 'limited' }, env: { PATH } });
    expect(ran.errors.join()).toContain('reached build');
    expect(inits()).toBe(2);
  });

  test('takes of the time that there is: the build gets what is left, or others would sweep it while it lives', async () => {
    const bin = folder();
    const hangs = 'date +%s.%N >"$0.times"; trap \'date +%s.%N >>"$0.times"; exit 1\' TERM; sleep 9 & wait';
    const script = `#!/bin/sh\ncase "$1" in\nversion) echo "Packer v1.16.0" ;;\ninspect) echo "1,,ui,say,ok" ;;\ninit) sleep 2 ;;\nbuild) ${hangs} ;;\nesac\n`;
    writeFileSync(join(bin, 'packer'), script, { mode: 0o755 });
    const ran = await build(lab, {
      with: { family: 'hurried', timeout: '180s' },
      env: { PATH: `${bin}:/usr/bin:/bin`, AMI_ACTION_CLOCK_SPEED: '60' },
    });
    expect(ran.outputs['outcome']).toBe('timeout');
    const [began = 0, ended = 0] = readFileSync(join(bin, 'packer.times'), 'utf8').trim().split('\n').map(Number);
    expect(ended - began).toBeLessThan(2);
  });

  test('scenario 19: of a file in the workspace is never run', async () => {
    const files = { ...template(), packer: '', 'tool/packer': '#!/bin/sh\ntouch "$0.ran"\necho "Packer v1.16.0"\n' };
    const { packer: _, ...kept } = files;
    const workspace = folder();
    for (const [path, content] of Object.entries(kept)) {
      mkdirSync(join(workspace, path, '..'), { recursive: true });
      writeFileSync(join(workspace, path), content, { mode: 0o755 });
    }
    const ran = await build(lab, {
      workspace,
      with: { family: 'evil', 'packer-version': '9.9.9' },
      env: { PATH: `tool:${workspace}/tool:/usr/bin:/bin` },
    });
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.log).toContain('is inside the workspace');
    expect(existsSync(join(workspace, 'tool/packer.ran'))).toBe(false);
  });
});

describe('scenario 14: an archive of Packer', () => {
  const KNOWN = '1.16.0';
  let server: Server;
  let asked: string[] = [];
  const served = new Map<string, Uint8Array>();
  beforeAll(async () => {
    server = createServer(({ url = '' }, response) => {
      asked.push(url);
      const body = served.get(url);
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>(done => server.listen(0, '127.0.0.1', done));
  });
  afterAll(() => void server.close());

  const archiveOf = (version: string) => `packer_${version}_${thisPlatform()}.zip`;
  const sha256 = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');

  /** A run that must fetch Packer from a mirror with this archive, and with sums and a signature that fit it, as one forges them. */
  async function fetching(version: string, archive: Uint8Array, wanted: Record<string, string> = {}) {
    const [tools, temp] = [folder(), folder()];
    served.clear();
    served.set(`/packer/${version}/${archiveOf(version)}`, archive);
    served.set(`/packer/${version}/packer_${version}_SHA256SUMS`, strToU8(`${sha256(archive)}  ${archiveOf(version)}\n`));
    served.set(`/packer/${version}/packer_${version}_SHA256SUMS.sig`, strToU8('signed'));
    asked = [];
    const mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const ran = await runAction({
      mode: 'build',
      lab,
      files: template(),
      with: { family: 'fetched', 'packer-version': version, 'packer-mirror': mirror, ...wanted },
      env: { PATH: '/usr/bin:/bin', RUNNER_TOOL_CACHE: tools, RUNNER_TEMP: temp },
    });
    const onDisk = [tools, temp].flatMap(path => readdirSync(path, { recursive: true, withFileTypes: true }));
    return { ran, left: onDisk.filter(entry => entry.isFile()).map(({ name }) => name) };
  }

  /** A Packer that leaves a mark when it is run. */
  const marked = () => {
    const mark = join(folder(), 'was-run');
    return { mark, program: strToU8(`#!/bin/sh\ntouch ${mark}\necho "1,,ui,error,reached $1"\nexit 1\n`) };
  };

  test('of an unknown version with the right hash is run: the mark that the others must not leave', async () => {
    const { mark, program } = marked();
    const archive = zipSync({ packer: program });
    const { ran, left } = await fetching('9.9.9', archive, { 'packer-sha256': sha256(archive) });
    expect(ran.errors.join()).toContain('reached inspect');
    expect(existsSync(mark)).toBe(true);
    expect(left.sort()).toEqual(['packer', archiveOf('9.9.9')]);
  });

  test.each<[string, (archive: Uint8Array) => Uint8Array]>([
    ['changed', archive => archive],
    ['cut short', archive => archive.slice(0, -40)],
  ])('of a known version that was %s is refused by the hash in our source, whatever sums and signature come with it', async (_, spoil) => {
    const { mark, program } = marked();
    const archive = spoil(zipSync({ packer: program }));
    const { ran, left } = await fetching(KNOWN, archive);
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.errors).toEqual([
      `Archive ${archiveOf(KNOWN)} has the wrong SHA-256: ${sha256(archive)}, expected ${PINS[KNOWN]?.[thisPlatform()]}. It was not used.\nNext: Run the job again: the download may have been truncated. If the hash stays the same, something between the runner and the vendor changes files. For another build of Packer, set "packer-sha256".`,
    ]);
    expect(ran.summary).toContain('has the wrong SHA-256');
    // No signature is downloaded, and none could replace the hash.
    expect(asked).toEqual([`/packer/${KNOWN}/${archiveOf(KNOWN)}`]);
    expect([existsSync(mark), left]).toEqual([false, []]);
  });

  test('of a version that we do not know is not even fetched without "packer-sha256"', async () => {
    const { mark, program } = marked();
    const { ran, left } = await fetching('9.9.9', zipSync({ packer: program }));
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.errors.join()).toContain('Packer 9.9.9 not found:');
    expect(ran.errors.join()).toContain(`the action knows no archive of Packer 9.9.9 for ${thisPlatform()}: set "packer-sha256"`);
    expect([asked, existsSync(mark), left]).toEqual([[], false, []]);
  });

  const { mark: evil, program } = marked();
  const SLIP = zipSync({ '../../../../evil': strToU8('evil'), packer: program });
  const WHOLE = zipSync({ packer: program });
  const CUT = WHOLE.slice(0, -40);
  test.each<[string, Uint8Array, string, string]>([
    ['has another hash than "packer-sha256"', WHOLE, sha256(CUT), 'has the wrong SHA-256'],
    ['would write outside its folder', SLIP, sha256(SLIP), 'its entry "../../../../evil" would be written outside its folder'],
    ['is damaged', CUT, sha256(CUT), 'cannot be used: it is damaged'],
  ])('of a version that we do not know is refused when it %s', async (_, archive, hash, says) => {
    const { ran, left } = await fetching('9.9.9', archive, { 'packer-sha256': hash });
    expect(ran.outputs['outcome']).toBe('rejected');
    expect(ran.errors.join()).toContain(says);
    expect(ran.errors.join()).toContain('It was not used.');
    expect([existsSync(evil), left]).toEqual([false, []]);
  });

  test('that was refused cost nothing', () => {
    expect(lab.calls.all().filter(({ operation }) => !/^(Describe|Get)/.test(operation))).toEqual([]);
  });
});
