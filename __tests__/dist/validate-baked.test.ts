import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { verdictOf } from '../../src/model/verdict.ts';
import { removeWorkspaces } from '../harness.ts';
import { build, changed } from './build-lab.ts';
import { type ValidateLab, validateLab } from './validate-lab.ts';

/** How each image is broken, as the last step, as root in the build instance. */
const BROKEN = {
  good: 'true',
  'missing-binary': 'rm /opt/web/server.py',
  'dead-service': 'echo "raise SystemExit(\'cannot read /etc/web.conf\')" > /opt/web/server.py',
  'wrong-port': 'sed -i s/8080/8081/ /opt/web/server.py /etc/systemd/system/web.service',
  'full-disk': 'head -c 8000000 /dev/zero > /var/fill',
  'leftover-keys':
    'mkdir -p /root/.ssh && echo "ssh-ed25519 AAAA builder" > /root/.ssh/authorized_keys && touch -d "1 hour ago" /root/.ssh/authorized_keys',
  'boot-hangs':
    'printf "[Unit]\\nBefore=amazon-ssm-agent.service\\n[Service]\\nType=oneshot\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n" > /etc/systemd/system/a-wait.service && systemctl enable a-wait.service',
  'agent-never-comes': 'systemctl disable amazon-ssm-agent',
  'agent-dies':
    'printf "[Service]\\nExecStart=/bin/sh -c \\"until [ -e /run/checking ]; do sleep 0.05; done; systemctl stop amazon-ssm-agent\\"\\n[Install]\\nWantedBy=multi-user.target\\n" > /etc/systemd/system/killer.service && systemctl enable killer.service',
  'dirty-cloud-init': 'rm /opt/web/setup',
} as const;

const CHECKS = `
- { name: the agent lives on, command: touch /run/checking; sleep 0.5 }
- service: web
- http: { port: 8080, path: /health }
  retry-for: 1s
- path: /opt/web/server.py
- disk: { free: 10% }
- cloud-init
- no-failed-units
- no-leftovers
- ssm-agent
`;

let l: ValidateLab;
const baked = new Map<string, string>();

beforeAll(async () => {
  l = await validateLab();
  const names = Object.keys(BROKEN);
  const files = changed(
    ['  ami_name        = local.name\n', ''],
    [
      'sources = ["source.amazon-ebs.web"]',
      names
        .map(name => `source "source.amazon-ebs.web" {\n    name = "${name}"\n    ami_name = "\${local.name}-${name}"\n  }`)
        .join('\n  '),
    ],
  );
  const arms = Object.entries(BROKEN).map(([name, action]) => `${name}) ${action} ;;`);
  const script = [
    '#!/bin/sh -e',
    'printf "#!/bin/sh\\ntrue\\n" > /opt/web/setup; chmod +x /opt/web/setup',
    'case "$BREAK" in',
    ...arms,
    'esac',
  ];
  files['packer/scripts/break.sh'] = script.join('\n');
  files['packer/image.pkr.hcl'] = (files['packer/image.pkr.hcl'] ?? '').replace(
    /\}\s*$/,
    `  provisioner "shell" {\n    execute_command = "chmod +x '{{ .Path }}'; sudo env BREAK=\${source.name} '{{ .Path }}'"\n    script = "\${path.root}/scripts/break.sh"\n  }\n}\n`,
  );
  const ran = await build(l.lab, { files, with: { family: 'web' } });
  if (ran.exitCode !== 0) throw new Error(ran.log);
  for (const { source, id } of JSON.parse(ran.outputs['images'] ?? '[]') as { source: string; id: string }[])
    baked.set(source.replace('amazon-ebs.', ''), id);
});
afterAll(async () => {
  await l.lab.close();
  removeWorkspaces();
});

const USER_DATA = { files: { 'user-data.sh': '#!/bin/sh\n/opt/web/setup\n' } };
// The checks run in our time, the agent's limit in the lab's: there twenty minutes are twenty seconds. Where no answer comes, a short limit saves time.
const WANTED = { checks: CHECKS, 'user-data': 'user-data.sh', 'agent-timeout': '60s', 'checks-timeout': '20m' };
const IMPATIENT = { ...WANTED, 'checks-timeout': '4m' };
const verdict = (name: string) => {
  const id = baked.get(name) ?? '';
  return verdictOf({ id, tags: l.tagsOf(id) }, { prefix: 'ami-action:', commitKey: 'ami-action:commit' }).result;
};
const validate = (name: string) => l.validate(baked.get(name) ?? `no image ${name}`, name === 'agent-dies' ? IMPATIENT : WANTED, USER_DATA);

describe('images that real Packer baked', () => {
  test('a good one passes', async () => {
    const ran = await validate('good');
    expect(ran.errors).toEqual([]);
    expect(ran.outputs).toMatchObject({ verdict: 'passed', passed: '9' });
  });

  test.each([
    ['missing-binary', /- path \/opt\/web\/server.py: .*\/opt\/web\/server.py does not exist/],
    ['dead-service', /- service web is active and enabled: .*web is (failed|activating|inactive|active)/],
    ['wrong-port', /- GET http:\/\/localhost:8080\/health answers 200: .*GET \/health on port 8080: no answer/],
    ['full-disk', /- disk \/ has free space: .*\/ has \d% free space, less than 10%/],
    ['leftover-keys', /- no keys, history or credentials from the build: .*\/root\/.ssh\/authorized_keys \(its owner can log in/],
    ['boot-hangs', /The image is the cause: .* Likely causes: \(1\) its boot hangs at a-wait.service \(from its console\)/],
    ['agent-never-comes', /The image is the cause: .* Likely causes: \(1\) the image has no SSM agent, or the agent is not enabled/],
    ['agent-dies', /The image is the cause: .* \(1\) the SSM agent or the network of the instance stopped during the checks/],
    ['dirty-cloud-init', /- cloud-init has finished without errors: .*cloud-init has errors/],
  ])('%s fails, and the message names the cause', async (name, cause) => {
    const ran = await validate(name);
    expect(ran.exitCode).toBe(1);
    expect(ran.outputs).toMatchObject({ verdict: 'failed', outcome: 'rejected' });
    expect(ran.errors.join()).toMatch(cause);
    expect(verdict(name)).toBe('failed');
    expect(l.alive()).toEqual([]);
  });

  test('wrong-architecture fails, and the message names the cause', async () => {
    const mark = l.lab.calls.mark();
    const ran = await l.validate(baked.get('good') ?? '', { ...WANTED, 'test-instance-types': 't4g.micro' }, USER_DATA);
    expect([ran.exitCode, ran.outputs['outcome']]).toEqual([1, 'usage']);
    expect(ran.errors.join()).toContain(`"test-instance-types": t4g.micro runs arm64, and image ${baked.get('good')} is x86_64`);
    expect(l.lab.calls.count('RunInstances', mark)).toBe(0);
  });
});
