import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import ssh2, { type ClientChannel } from 'ssh2';
import { labClock } from '../../lab/clock.ts';
import type { Disk, Guest, GuestSpec, Hypervisor } from '../../lab/machines/hypervisor.ts';
import { paperHypervisor } from '../../lab/machines/paper.ts';
import { complaint, missingRequirements } from '../../lab/machines/requirements.ts';
import { resolveIn } from '../../lab/machines/rooted.ts';
import { sandboxHypervisor } from '../../lab/machines/sandbox.ts';
import { readUserData } from '../../lab/machines/user-data.ts';
import { service as serviceCheck } from '../../src/validation/rules/checks-shell.ts';

const SPEED = 60;
const keys = ssh2.utils.generateKeyPairSync('ed25519');
const cacheDirectory = mkdtempSync(join(tmpdir(), 'lab-machines-'));
let hypervisor: Hypervisor;
let count = 0;

beforeAll(async () => {
  hypervisor = await sandboxHypervisor({ clock: labClock(SPEED), cacheDirectory });
});

afterAll(async () => {
  await hypervisor.close();
  rmSync(cacheDirectory, { recursive: true });
});

type Options = Partial<Omit<GuestSpec, 'disk'>> & { disk?: Disk };

/** A guest of the base disk, and how often it has shut itself down. */
async function boot(options: Options = {}): Promise<{ guest: Guest; spec: GuestSpec; ends: () => number }> {
  let ends = 0;
  const disk = options.disk ?? (await hypervisor.clone(await hypervisor.baseDisk()));
  count += 1;
  const spec: GuestSpec = {
    instanceId: `i-${String(count).padStart(17, '0')}`,
    disk,
    // Not 127.10, which labs of other tests use.
    address: `127.12.${process.pid % 250}.${count}`,
    authorizedKeys: [keys.public],
    userData: undefined,
    firstBoot: true,
    tags: {},
    ...options,
    onEnd: () => {
      ends += 1;
    },
  };
  return { guest: await hypervisor.boot(spec), spec, ends: () => ends };
}

const sh = (guest: Guest, script: string) => guest.exec(['sh', '-c', script]);
const said = async (guest: Guest, script: string) => (await sh(guest, script)).stdout.trim();

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (await holds()) return;
    await sleep(20);
  }
  throw new Error(`still not so: ${holds}`);
}

const put = (guest: Guest, path: string, input: string) =>
  guest.exec(['sh', '-c', `mkdir -p "\${0%/*}"; cat > "$0"; chmod 755 "$0"`, path], { input });

const unit = (name: string, body: string) =>
  [
    `/etc/systemd/system/${name}.service`,
    `[Unit]\nDescription=${name}\n[Service]\n${body}\n[Install]\nWantedBy=multi-user.target\n`,
  ] as const;

describe('a guest', () => {
  test('answers commands as root of a small Debian with its own host name and no network but its loopback', async () => {
    const { guest, spec } = await boot();
    expect(await said(guest, 'id -u; . /etc/os-release; echo $ID; hostname; cd; pwd; ls /sys/class/net 2>/dev/null')).toBe(
      `0\ndebian\nip-${spec.address.replaceAll('.', '-')}\n/root`,
    );
    expect(await said(guest, "dpkg-query -W -f='${Package} ${Status}\\n' amazon-ssm-agent")).toBe('amazon-ssm-agent install ok installed');
  });

  test('returns stdout, stderr and exit code of a command separately', async () => {
    const { guest } = await boot();
    const heard: string[] = [];
    const ran = await guest.exec(['sh', '-c', 'cat; echo oops >/dev/stderr; exit 3'], {
      input: 'words',
      onOutput: chunk => heard.push(String(chunk)),
    });
    expect(ran).toEqual({ exitCode: 3, stdout: 'words', stderr: 'oops\n' });
    expect(heard.sort()).toEqual(['oops\n', 'words']);
    expect((await guest.exec(['no-such-program'])).exitCode).toBe(127);
    expect((await sh(guest, 'kill -KILL $$')).exitCode).toBe(137);
  });

  test('does not wait for a daemon that a command starts', async () => {
    const { guest } = await boot();
    expect(await said(guest, 'sleep 300 & echo started')).toBe('started');
    expect(await said(guest, 'pgrep -x sleep -a')).toContain('sleep 300');
  });

  test('ends a command and its children on the signal', async () => {
    const { guest } = await boot();
    const enough = new AbortController();
    const running = guest.exec(['sh', '-c', 'sleep 301; true'], { signal: enough.signal });
    await eventually(async () => (await said(guest, 'pgrep -fx "sleep 301"')) !== '');
    enough.abort();
    expect((await running).exitCode).toBe(137);
    expect(await said(guest, 'pgrep -fx "sleep 301"')).toBe('');
  });

  test('has the /usr of the host read-only, and its own /usr/local', async () => {
    const { guest } = await boot();
    expect((await sh(guest, 'touch /usr/bin/mine')).exitCode).not.toBe(0);
    await put(guest, '/usr/local/bin/mine', '#!/bin/sh\necho mine\n');
    expect(await said(guest, 'mine')).toBe('mine');
    expect(existsSync('/usr/local/bin/mine')).toBe(false);
  });

  test('keeps its disk: a clone has what was written, and later changes are separate', async () => {
    const { guest, spec } = await boot();
    await put(guest, '/opt/app/version', 'one');
    const image = await hypervisor.clone(spec.disk);
    await put(guest, '/opt/app/version', 'two');
    const { guest: other } = await boot({ disk: await hypervisor.clone(image) });
    expect([await said(guest, 'cat /opt/app/version'), await said(other, 'cat /opt/app/version')]).toEqual(['two', 'one']);
    await hypervisor.discard(image);
    expect(existsSync(image.path)).toBe(false);
  });

  test('refuses commands after it was stopped, and boots again from the same disk', async () => {
    const { guest, spec, ends } = await boot();
    await put(guest, '/opt/kept', 'yes');
    await guest.stop();
    await expect(guest.exec(['true'])).rejects.toThrow('does not run');
    expect([ends(), await guest.agentAlive(), await guest.http(80, '/')]).toEqual([0, false, undefined]);
    const { guest: again } = await boot({ ...spec, firstBoot: false });
    expect(await said(again, 'cat /opt/kept')).toBe('yes');
  });

  test('that cannot boot reports the reason', async () => {
    const disk = await hypervisor.clone(await hypervisor.baseDisk());
    rmSync(join(disk.path, 'usr/local/lib/lab/init'));
    await expect(boot({ disk })).rejects.toThrow(/did not boot\n.*cannot open .*init/);
  });

  test('fills its volume: df counts its own files, a MB for a GiB', async () => {
    const { guest } = await boot({ volumeGib: 4 });
    const used = async () => Number.parseInt((await said(guest, 'df --output=pcent / | tail -1')).trim(), 10);
    expect(await used()).toBeLessThan(40);
    await sh(guest, 'head -c 4000000 /dev/zero > /var/big');
    expect(await used()).toBe(100);
    expect(await said(guest, 'df -i / | tail -1')).toMatch(/^\/dev\/nvme0n1p1 262144 \d+ \d+ \d+% \/$/);
    expect(await said(guest, 'df -h / | tail -1')).toMatch(/^\/dev\/nvme0n1p1 4.0G 4.0G 0B 100% \/$/);
  });
});

describe('first boot', () => {
  test('runs the user data once per instance, and again for an instance of its image', async () => {
    const userData = '#!/bin/bash\necho "ran on $(hostname)" >> /opt/runs\n';
    const { guest, spec } = await boot({ userData });
    expect((await sh(guest, 'cloud-init status --wait')).stdout).toMatch(/\nstatus: done\n$/);
    await guest.stop();
    const { guest: again } = await boot({ ...spec, firstBoot: false });
    expect((await sh(again, 'cloud-init status --wait')).exitCode).toBe(0);
    expect((await said(again, 'cat /opt/runs')).split('\n')).toHaveLength(1);
    const { guest: copy } = await boot({ userData, disk: await hypervisor.clone(spec.disk) });
    await sh(copy, 'cloud-init status --wait');
    expect((await said(copy, 'cat /opt/runs')).split('\n')).toHaveLength(2);
  });

  test('has a status: running, done, or error with the failed part', async () => {
    const { guest } = await boot({ userData: '#!/bin/sh\nwhile [ ! -e /opt/go ]; do sleep 0.02; done\necho started\nexit 4\n' });
    const running = await sh(guest, 'cloud-init status');
    expect([running.exitCode, running.stdout]).toEqual([0, 'status: running\n']);
    expect(await said(guest, 'systemctl is-system-running')).toBe('starting');
    await sh(guest, 'touch /opt/go');
    const ended = await sh(guest, 'cloud-init status --wait --format json');
    expect(ended.exitCode).toBe(1);
    expect(JSON.parse(ended.stdout)).toMatchObject({
      status: 'error',
      errors: [expect.stringContaining('1 failures (part-001) in 1 attempted')],
    });
    expect(JSON.parse(await said(guest, 'cat /run/cloud-init/result.json'))).toMatchObject({ v1: { datasource: 'DataSourceEc2Local' } });
    expect(await said(guest, 'cat /var/log/cloud-init-output.log')).toContain('started');
    await eventually(async () => (await said(guest, 'systemctl is-system-running')) === 'degraded');
    expect(await said(guest, 'systemctl --failed --no-legend --plain')).toContain('cloud-final.service');
    expect(guest.console()).toContain('started');
  });

  test('runs the scripts of a multipart message in order, whatever their encoding', async () => {
    const encoded = Buffer.from('#!/bin/sh\necho second >> /opt/order\n').toString('base64');
    const userData = [
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed;\n boundary="=="',
      '',
      '--==',
      'Content-Type: text/x-shellscript; charset="us-ascii"',
      '',
      '#!/bin/bash\necho first >> /opt/order',
      '--==',
      'Content-Type: text/x-shellscript',
      'Content-Transfer-Encoding: base64',
      '',
      encoded,
      '--==--',
      '',
    ].join('\n');
    const { guest } = await boot({ userData });
    expect((await sh(guest, 'cloud-init status --wait')).exitCode).toBe(0);
    expect(await said(guest, 'cat /opt/order')).toBe('first\nsecond');
  });

  test('reports user data that it cannot run', async () => {
    expect(readUserData('#cloud-config\nruncmd: []\n')).toEqual({
      scripts: [],
      boothooks: [],
      unhandled: [expect.stringContaining('text/cloud-config')],
    });
    expect(readUserData('')).toEqual({ scripts: [], boothooks: [], unhandled: [] });
    const { guest } = await boot({ userData: '#cloud-config\nruncmd: []\n' });
    const status = await sh(guest, 'cloud-init status --wait --long');
    expect([status.exitCode, status.stdout]).toEqual([1, expect.stringContaining('Unhandled user data (text/cloud-config)')]);
  });

  test('runs boothooks at every boot, before the services', async () => {
    const { guest, spec } = await boot({ userData: '#cloud-boothook\n#!/bin/sh\necho hook >> /opt/order\n' });
    await put(guest, ...unit('late', "ExecStart=/bin/sh -c 'echo service >> /opt/order'"));
    await sh(guest, 'cloud-init status --wait; systemctl enable late');
    await guest.stop();
    const { guest: again } = await boot({ ...spec, firstBoot: false });
    await sh(again, 'systemctl is-system-running --wait');
    await eventually(async () => (await said(again, 'cat /opt/order')) === 'hook\nhook\nservice');
  });

  test('a timer with default dependencies in a boothook blocks the boot, as on Debian', async () => {
    const hook = (properties: string) =>
      `#cloud-boothook\n#!/bin/sh\ntimeout 5 systemd-run --on-active=60 ${properties} true && echo armed > /opt/timer\n`;
    const [blocked, armed] = await Promise.all([
      boot({ userData: hook('--timer-property=AccuracySec=1s') }),
      boot({ userData: hook('--timer-property=DefaultDependencies=no --property=DefaultDependencies=no') }),
    ]);
    for (const { guest } of [blocked, armed]) await sh(guest, 'cloud-init status --wait');
    expect([await said(blocked.guest, 'cat /opt/timer'), await said(armed.guest, 'cat /opt/timer')]).toEqual(['', 'armed']);
  });

  test('creates host keys and a machine id, unless the image contains them', async () => {
    const identity = 'cat /etc/ssh/ssh_host_*_key.pub /etc/machine-id';
    const { guest, spec } = await boot();
    const { guest: careless } = await boot({ disk: await hypervisor.clone(spec.disk) });
    expect(await said(careless, identity)).toBe(await said(guest, identity));
    await sh(guest, 'rm /etc/ssh/ssh_host_*; : > /etc/machine-id');
    const { guest: careful } = await boot({ disk: await hypervisor.clone(spec.disk) });
    expect((await said(careful, identity)).split('\n')).toHaveLength(3);
    expect(await said(careful, identity)).not.toBe(await said(careless, identity));
  });
});

describe('services', () => {
  test('start at boot when enabled, in their order, with their environment', async () => {
    const { guest, spec } = await boot();
    await put(guest, ...unit('zz-first', "Type=oneshot\nRemainAfterExit=yes\nExecStart=/bin/sh -c 'echo first >> /opt/order'"));
    await put(
      guest,
      ...unit(
        'app',
        'Environment="GREETING=hello there" PORT=80\nExecStartPre=/bin/mkdir -p /run/app\nExecStart=/bin/sh -c \'echo "$GREETING ${PORT} $$$$" > /run/app/said; echo app >> /opt/order; exec sleep 302\'',
      ),
    );
    await sh(
      guest,
      "sed -i 's/^Description=app/&\\nAfter=zz-first.service/' /etc/systemd/system/app.service; systemctl enable app zz-first",
    );
    expect(await said(guest, 'systemctl is-active app; systemctl is-enabled app')).toBe('inactive\nenabled');
    await guest.stop();
    const { guest: again } = await boot({ ...spec, firstBoot: false });
    expect(await said(again, 'systemctl is-system-running --wait; systemctl is-active app zz-first; cat /opt/order')).toBe(
      'running\nactive\nactive\nfirst\napp',
    );
    expect(await said(again, 'cat /run/app/said')).toMatch(/^hello there 80 \d+$/);
    const shown = await said(again, 'systemctl show app -p MainPID --value');
    expect(await said(again, `cat /proc/${shown}/cmdline | tr '\\0' ' '`)).toBe('sleep 302');
  });

  test('that die are failed in every command', async () => {
    const { guest } = await boot();
    await put(guest, ...unit('broken', "ExecStart=/bin/sh -c 'echo cannot bind >&2; exit 3'"));
    expect((await sh(guest, 'systemctl start broken')).exitCode).toBe(0);
    await eventually(async () => (await said(guest, 'systemctl is-failed broken')) === 'failed');
    expect((await sh(guest, 'systemctl status broken')).exitCode).toBe(3);
    expect(await said(guest, 'systemctl show broken -p ActiveState,Result,ExecMainStatus')).toBe(
      'ActiveState=failed\nResult=exit-code\nExecMainStatus=3',
    );
    expect(await said(guest, 'systemctl list-units --state=failed --no-legend')).toContain('broken.service loaded failed failed');
    expect(await said(guest, 'journalctl -u broken --no-pager')).toContain('cannot bind');
    expect(await said(guest, 'journalctl -p err -b')).toContain("broken.service: Failed with result 'exit-code'.");
    expect(await said(guest, 'systemctl reset-failed; systemctl is-failed broken')).toBe('inactive');
  });

  test('say their errors on the console too, and run without it', async () => {
    const { guest } = await boot();
    const says = (name: string) =>
      unit(name, `StandardError=journal+console\nExecStart=/bin/sh -c 'echo ${name} says >&2; exec sleep 304'`);
    await put(guest, ...says('heard'));
    await put(guest, ...says('alone'));
    await sh(guest, 'systemctl start heard');
    await eventually(() => guest.console().includes('heard says'));
    await sh(guest, 'rm /dev/console; mkdir /dev/console; systemctl start alone');
    await eventually(async () => (await said(guest, 'journalctl -u alone --no-pager')).includes('alone says'));
    expect(await said(guest, 'systemctl is-active heard alone')).toBe('active\nactive');
  });

  test('are restarted on failure, up to a limit', async () => {
    const { guest } = await boot();
    await put(guest, ...unit('flaky', "Restart=on-failure\nExecStart=/bin/sh -c 'echo try >> /opt/tries; exit 1'"));
    await sh(guest, 'systemctl start flaky');
    await eventually(async () => (await said(guest, 'systemctl is-failed flaky')) === 'failed');
    expect((await said(guest, 'cat /opt/tries')).split('\n')).toHaveLength(5);
    await put(guest, ...unit('repaired', 'Restart=on-failure\nRestartSec=1\nExecStart=/bin/sleep 303'));
    await sh(guest, 'systemctl start repaired; kill -KILL $(systemctl show repaired -p MainPID --value)');
    await eventually(
      async () => (await said(guest, 'systemctl show repaired -p NRestarts,ActiveState')) === 'NRestarts=1\nActiveState=active',
    );
  });

  // Not about the lab itself, but only the lab has a systemctl that restarts services.
  test("that die and are restarted do not pass the action's check, although they look alive", async () => {
    const { guest } = await boot();
    const dies = (after: string) =>
      `Restart=always\nRestartSec=100ms\nStartLimitIntervalSec=0\nExecStart=/bin/sh -c 'n=$(cat /run/%n || echo 0); echo $((n + 1)) > /run/%n; [ $n != 0 ] || exit 1; sleep ${after}; exit 1'`;
    await put(guest, ...unit('loops', dies('4')));
    await put(guest, ...unit('steady', 'ExecStart=/bin/sleep 305'));
    await sh(guest, 'systemctl enable --now loops steady');
    await eventually(
      async () => (await said(guest, 'systemctl show loops -p NRestarts,ActiveState')) === 'NRestarts=1\nActiveState=active',
    );
    const checked = (name: string) => guest.exec(['bash', '-eo', 'pipefail'], { input: serviceCheck(name, true) });
    // Two polls, two seconds apart, would see the same process twice.
    const [loops, steady] = await Promise.all([checked('loops'), checked('steady')]);
    expect([steady.exitCode, loops.exitCode]).toEqual([0, 1]);
    expect(loops.stdout).toMatch(/loops is \w+ and was active before: it crashes and is restarted\n$/);
  });

  test('fail when their preparation fails, their program is missing or the unit does not exist', async () => {
    const { guest } = await boot();
    await put(guest, ...unit('unready', 'ExecStartPre=/bin/false\nExecStart=/bin/sleep 304'));
    const refused = await sh(guest, 'systemctl start unready');
    expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('Job for unready.service failed')]);
    await put(guest, ...unit('absent', 'ExecStart=/opt/nothing-here'));
    await sh(guest, 'systemctl start absent');
    await eventually(async () => (await said(guest, 'systemctl show absent -p ExecMainStatus --value')) === '203');
    expect((await sh(guest, 'systemctl start missing')).exitCode).toBe(5);
    expect((await sh(guest, 'systemctl status missing')).exitCode).toBe(4);
    expect((await sh(guest, 'systemctl enable missing')).exitCode).toBe(1);
  });

  test('stop with their children, restart as new processes, and can be masked', async () => {
    const { guest } = await boot();
    await put(guest, ...unit('family', "ExecStart=/bin/sh -c 'sleep 305 & sleep 305'\nUser=admin"));
    await sh(guest, 'systemctl enable --now family');
    expect(await said(guest, 'ps -o user= -p $(pgrep -fx "sleep 305" | head -1)')).toBe('admin');
    const before = await said(guest, 'systemctl show family -p MainPID --value');
    await sh(guest, '/usr/bin/env systemctl restart family.service');
    expect(await said(guest, 'systemctl show family -p MainPID --value')).not.toBe(before);
    await sh(guest, 'systemctl disable --now family');
    expect(await said(guest, 'systemctl is-active family; systemctl is-enabled family; pgrep -fx "sleep 305"')).toBe('inactive\ndisabled');
    await sh(guest, 'rm /etc/systemd/system/family.service; systemctl mask family');
    expect((await sh(guest, 'systemctl start family')).stderr).toContain('is masked');
  });

  test('answer HTTP in their own network, and not when they listen on loopback only', async () => {
    const serve = (where: string) => unit('web', `ExecStart=/usr/bin/python3 -m http.server 8080 --bind ${where} --directory /opt`);
    const [one, two, deaf] = await Promise.all([boot(), boot(), boot()]);
    await Promise.all([put(one.guest, ...serve('0.0.0.0')), put(two.guest, ...serve('0.0.0.0')), put(deaf.guest, ...serve('127.0.0.1'))]);
    await put(two.guest, '/opt/health', 'ok');
    await Promise.all([one, two, deaf].map(({ guest }) => sh(guest, 'systemctl start web')));
    await eventually(async () => (await two.guest.http(8080, '/health')) === 200);
    await eventually(async () => (await one.guest.http(8080, '/health')) === 404);
    await eventually(async () => (await sh(deaf.guest, 'ss -ltn | grep -q :8080')).exitCode === 0);
    expect([await deaf.guest.http(8080, '/'), await one.guest.http(81, '/')]).toEqual([undefined, undefined]);
  });
});

describe('the SSM agent', () => {
  test('answers as long as its process runs, and does not start in an image where it is disabled', async () => {
    const { guest, spec } = await boot();
    await eventually(() => guest.agentAlive());
    await sh(guest, 'pkill -KILL -f bin/amazon-ssm-agent; true');
    await eventually(async () => !(await guest.agentAlive()));
    await sh(guest, 'systemctl restart amazon-ssm-agent');
    await eventually(() => guest.agentAlive());
    await sh(guest, 'systemctl disable --now amazon-ssm-agent');
    expect(await guest.agentAlive()).toBe(false);
    const { guest: mute } = await boot({ disk: await hypervisor.clone(spec.disk) });
    expect(await said(mute, 'systemctl is-system-running --wait')).toBe('running');
    expect(await mute.agentAlive()).toBe(false);
  });
});

describe('a shutdown', () => {
  test.each(['shutdown -h now', '/sbin/shutdown now', 'poweroff', 'halt', 'systemctl poweroff', 'sudo -n shutdown -P +0'])(
    'comes with %s, once',
    async command => {
      const { guest, ends } = await boot();
      await sh(guest, `${command}; sleep 5`);
      await eventually(() => ends() === 1);
      await guest.stop();
      expect(ends()).toBe(1);
      expect(guest.console()).toContain('reboot: poweroff');
    },
  );

  test('comes after minutes of lab time, unless it was cancelled or the guest was stopped', async () => {
    const [timed, saved, run, stopped] = await Promise.all([boot(), boot(), boot(), boot()]);
    await Promise.all([
      sh(timed.guest, 'shutdown -h +1'),
      sh(saved.guest, 'shutdown -h +1; test -e /run/systemd/shutdown/scheduled && shutdown -c'),
      sh(run.guest, 'systemd-run --on-active=30s systemctl poweroff'),
      sh(stopped.guest, 'shutdown -h +1'),
    ]);
    expect(timed.ends()).toBe(0);
    await stopped.guest.stop();
    await eventually(() => timed.ends() === 1 && run.ends() === 1);
    await sleep(300);
    expect([saved.ends(), stopped.ends()]).toEqual([0, 0]);
    expect((await sh(saved.guest, 'shutdown -h tomorrow')).exitCode).toBe(1);
  });

  test('with reboot boots the guest again, with its disk and without its /run', async () => {
    const { guest, ends } = await boot({ userData: '#!/bin/sh\necho once >> /opt/runs\n' });
    await sh(guest, 'cloud-init status --wait; touch /run/before; reboot; sleep 5');
    await eventually(async () => (await sh(guest, 'test ! -e /run/before')).exitCode === 0);
    expect(await said(guest, 'systemctl is-system-running --wait; cat /opt/runs')).toBe('running\nonce');
    expect(ends()).toBe(0);
    expect(await guest.agentAlive()).toBe(true);
  });

  test('lets services finish', async () => {
    const { guest, spec } = await boot();
    await put(guest, ...unit('careful', 'ExecStart=/bin/sh -c \'trap "echo bye > /opt/bye; exit 0" TERM; while :; do sleep 0.05; done\''));
    await sh(guest, 'systemctl start careful');
    await guest.stop();
    expect(readFileSync(join(spec.disk.path, 'opt/bye'), 'utf8')).toBe('bye\n');
  });

  test('of the lab by SIGKILL leaves no process and no mount, and the next lab removes its disks', async () => {
    const orphanage = mkdtempSync(join(tmpdir(), 'lab-killed-'));
    const address = `127.12.${process.pid % 250}.251`;
    const at = (file: string) => JSON.stringify(pathToFileURL(join(process.cwd(), file)).href);
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', lonelyLab(at('lab/clock.ts'), at('lab/machines/sandbox.ts'), orphanage, address)],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise(up => child.stdout.once('data', up));
    const [run = ''] = readdirSync(join(orphanage, 'ami-action/lab'));
    expect(processesThatName(orphanage)).not.toEqual([]);
    expect(processesThatName('sleep\0 3071'.replace(' ', ''))).not.toEqual([]);
    child.kill('SIGKILL');
    await eventually(() => processesThatName(orphanage).length === 0 && processesThatName('sleep\x003071').length === 0);
    expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(orphanage);
    expect(existsSync(join(orphanage, 'ami-action/lab', run))).toBe(true);
    const next = await sandboxHypervisor({ clock: labClock(1), cacheDirectory: orphanage });
    expect(existsSync(join(orphanage, 'ami-action/lab', run))).toBe(false);
    await next.close();
    expect(readdirSync(join(orphanage, 'ami-action/lab'))).toEqual([]);
    rmSync(orphanage, { recursive: true });
  });
});

/** A lab with a service, a running command, and one in its own session. */
const lonelyLab = (clock: string, sandbox: string, cache: string, address: string) => `
  const { labClock } = await import(${clock});
  const { sandboxHypervisor } = await import(${sandbox});
  const hypervisor = await sandboxHypervisor({ clock: labClock(1), cacheDirectory: ${JSON.stringify(cache)} });
  const disk = await hypervisor.clone(await hypervisor.baseDisk());
  const spec = { instanceId: 'i-0', disk, address: ${JSON.stringify(address)}, authorizedKeys: [], firstBoot: true, tags: {}, onEnd() {} };
  const guest = await hypervisor.boot(spec);
  await guest.exec(['setsid', '--fork', 'sleep', '3071']);
  guest.exec(['sleep', '3071']);
  setTimeout(() => console.log('up'), 200);
  setInterval(() => {}, 1000);
`;

function processesThatName(text: string): readonly string[] {
  const lines = readdirSync('/proc')
    .filter(name => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map(name => {
      try {
        return readFileSync(`/proc/${name}/cmdline`, 'utf8');
      } catch {
        return '';
      }
    });
  return lines.filter(line => line.includes(text) && !line.includes('import('));
}

describe('SSH', () => {
  const connect = async (address: string, options: { username?: string; privateKey?: string } = {}): Promise<ssh2.Client> => {
    const client = new ssh2.Client();
    await new Promise<void>((ready, failed) => {
      client.once('ready', ready).once('error', failed);
      client.connect({ host: address, port: 2322, username: 'admin', privateKey: keys.private, ...options });
    });
    return client;
  };

  interface Said {
    readonly code: number | null;
    readonly signal: string | undefined;
    readonly stdout: string;
    readonly stderr: string;
  }

  const run = (client: ssh2.Client, command: string, input = '', options: ssh2.ExecOptions = {}): Promise<Said> =>
    new Promise((settle, fail) => {
      client.exec(command, options, (failure, channel: ClientChannel) => {
        if (failure) return fail(failure);
        let [stdout, stderr, code, signal] = ['', '', null as number | null, undefined as string | undefined];
        channel.on('data', (chunk: Buffer) => (stdout += chunk));
        channel.stderr.on('data', (chunk: Buffer) => (stderr += chunk));
        channel.on('exit', (status: number | null, name?: string) => {
          code = status;
          signal = name;
        });
        channel.once('close', () => settle({ code, signal, stdout, stderr }));
        channel.end(input);
      });
    });

  test('runs commands: status, both streams, input, environment, home of the user', async () => {
    const { spec } = await boot();
    const client = await connect(spec.address);
    expect(await run(client, 'cat; pwd; echo "$PACKED" >&2; exit 7', 'in\n', { env: { PACKED: 'a b' } })).toEqual({
      ...{ code: 7, signal: undefined, stdout: 'in\n/home/admin\n', stderr: 'a b\n' },
    });
    expect(await run(client, 'kill -TERM $$')).toMatchObject({ code: null, signal: 'SIGTERM' });
    expect(await run(client, 'echo out; echo err >&2', '', { pty: true })).toMatchObject({ code: 0, stdout: 'out\nerr\n', stderr: '' });
    client.end();
  });

  test('uses the current authorized_keys, for any user name', async () => {
    const { guest, spec } = await boot();
    const other = ssh2.utils.generateKeyPairSync('ed25519');
    await expect(connect(spec.address, { privateKey: other.private })).rejects.toThrow('authentication');
    await sh(guest, `echo '${other.public}' > /home/admin/.ssh/authorized_keys`);
    const client = await connect(spec.address, { privateKey: other.private, username: 'ec2-user' });
    expect(await run(client, 'whoami')).toMatchObject({ stdout: 'root\n' });
    client.end();
    await expect(connect(spec.address)).rejects.toThrow('authentication');
  });

  test('accepts RSA keys, which clients sign with SHA-2', async () => {
    const rsa = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 });
    const { spec } = await boot({ authorizedKeys: [rsa.public] });
    const client = await connect(spec.address, { privateKey: rsa.private });
    expect(await run(client, 'true')).toMatchObject({ code: 0 });
    client.end();
  });

  test('moves files by SFTP, into /run as into the disk, and never out of the guest', async () => {
    const { guest, spec } = await boot();
    const client = await connect(spec.address);
    const sftp = await promisify(client.sftp.bind(client))();
    const big = Buffer.alloc(3_000_000, 'lab ');
    const write = promisify(sftp.writeFile.bind(sftp)) as (path: string, data: Buffer) => Promise<void>;
    const read = promisify(sftp.readFile.bind(sftp)) as (path: string) => Promise<Buffer>;
    await write('/run/big', big);
    await write('note', Buffer.from('relative'));
    await sh(guest, 'ln -s /etc/hostname /opt/name; ln -s /etc /opt/etc');
    expect((await read('/run/big')).equals(big)).toBe(true);
    expect(await said(guest, 'cat /home/admin/note')).toBe('relative');
    expect(String(await read('/opt/name'))).toBe(await said(guest, 'cat /etc/hostname; echo').then(name => `${name}\n`));
    expect(String(await read('/opt/etc/../../../../etc/hostname'))).toBe(String(await read('/etc/hostname')));
    const names = await new Promise<readonly ssh2.FileEntry[]>((settle, fail) => {
      sftp.readdir('/opt', (failure, entries) => (failure ? fail(failure) : settle(entries)));
    });
    expect(names.map(({ filename }) => filename).sort()).toEqual(['etc', 'name']);
    await expect(read('/opt/none')).rejects.toThrow('no such file');
    client.end();
  });

  const hasOpenSsh = existsSync('/usr/bin/scp') && existsSync('/usr/bin/ssh-keygen');
  (hasOpenSsh ? test : test.skip)("works with OpenSSH's own clients", async () => {
    const { guest, spec } = await boot();
    const room = mkdtempSync(join(tmpdir(), 'lab-ssh-'));
    const key = join(room, 'key');
    writeFileSync(key, keys.private, { mode: 0o600 });
    const options = [
      '-i',
      key,
      '-o',
      'StrictHostKeyChecking=no',
      '-o',
      'UserKnownHostsFile=/dev/null',
      '-o',
      'LogLevel=ERROR',
      '-o',
      'BatchMode=yes',
    ];
    const file = join(room, 'file');
    writeFileSync(file, 'over');
    const scp = (...rest: string[]) => promisify(execFile)('scp', [...options, '-P', '2322', ...rest]);
    await scp('-O', file, `root@${spec.address}:/opt/by-scp`);
    await scp('-s', file, `root@${spec.address}:/opt/by-sftp`);
    await scp('-O', `root@${spec.address}:/opt/by-sftp`, join(room, 'back'));
    expect(await said(guest, 'cat /opt/by-scp /opt/by-sftp')).toBe('overover');
    expect(readFileSync(join(room, 'back'), 'utf8')).toBe('over');
    const ssh = promisify(execFile)('ssh', [...options, '-p', '2322', `admin@${spec.address}`, 'exit 5']);
    await expect(ssh).rejects.toMatchObject({ code: 5 });
    rmSync(room, { recursive: true });
  });

  test('closes connections when the guest stops, and accepts new ones after a reboot', async () => {
    const { spec, ends } = await boot();
    const client = await connect(spec.address);
    const closed = new Promise<void>(settle => client.once('close', () => settle()));
    client.on('error', () => {});
    void run(client, 'reboot; sleep 30').catch(() => undefined);
    await closed;
    const again = await connect(spec.address);
    expect(await run(again, 'systemctl is-system-running --wait')).toMatchObject({ stdout: 'running\n' });
    again.on('error', () => {});
    void run(again, 'poweroff').catch(() => undefined);
    await eventually(() => ends() === 1);
    await expect(connect(spec.address)).rejects.toThrow('ECONNREFUSED');
  });
});

describe('the host of the guests', () => {
  test('lists the packages that are missing', async () => {
    expect(await missingRequirements()).toEqual([]);
    const missing = await missingRequirements('/nowhere');
    expect(missing.map(({ what }) => what)).toContain('the program bwrap');
    expect(complaint(missing)).toMatch(/apt-get install --yes .*bubblewrap/);
  });

  test('follows links inside a root as the guest would', async () => {
    const root = mkdtempSync(join(tmpdir(), 'lab-root-'));
    execFileSync('sh', ['-c', 'mkdir -p a etc; ln -s /etc a/abs; ln -s ../../../../etc a/up; ln -s loop a/loop'], { cwd: root });
    expect(await resolveIn(root, '/a/abs/passwd')).toBe(join(root, 'etc/passwd'));
    expect(await resolveIn(root, 'a/up/passwd')).toBe(join(root, 'etc/passwd'));
    expect(await resolveIn(root, '/../../etc')).toBe(join(root, 'etc'));
    expect(await resolveIn(root, '/a/abs', true)).toBe(join(root, 'a/abs'));
    await expect(resolveIn(root, '/a/loop/x')).rejects.toMatchObject({ code: 'ELOOP' });
    rmSync(root, { recursive: true });
  });
});

describe('paper machines', () => {
  const spec = (disk: Disk, onEnd = () => {}): GuestSpec => ({
    ...{ instanceId: 'i-1', disk, address: '127.11.0.1', authorizedKeys: [], userData: undefined, firstBoot: true, tags: {}, onEnd },
  });

  test('return what a test sets, and record the source of each disk', async () => {
    const paper = paperHypervisor();
    const base = await paper.baseDisk();
    const disk = await paper.clone(base);
    expect(paper.disks.get(disk.id)?.origin?.id).toBe(base.id);
    const guest = await paper.boot(spec(disk));
    expect([await guest.exec(['true']), await guest.agentAlive(), await guest.http(80, '/')]).toEqual([
      { exitCode: 0, stdout: '', stderr: '' },
      true,
      200,
    ]);
    paper.answers.exec = command => ({ exitCode: 9, stdout: command.join(' '), stderr: '' });
    paper.answers.agentAlive = () => false;
    paper.answers.http = port => (port === 80 ? 503 : undefined);
    expect(await guest.exec(['a', 'b'])).toMatchObject({ exitCode: 9, stdout: 'a b' });
    expect([await guest.agentAlive(), await guest.http(80, '/'), await guest.http(81, '/')]).toEqual([false, 503, undefined]);
  });

  test('shut down when a test requests it, and no longer answer', async () => {
    const paper = paperHypervisor();
    let ends = 0;
    const guest = await paper.boot(spec(await paper.baseDisk(), () => (ends += 1)));
    paper.end('i-1');
    expect([ends, paper.guests.size, await guest.agentAlive(), await guest.http(80, '/')]).toEqual([1, 0, false, undefined]);
    await expect(guest.exec(['true'])).rejects.toThrow('does not run');
    await expect(paper.clone({ id: 'disk-nowhere', path: '' })).rejects.toThrow('no disk');
  });
});
