import { CreateImageCommand, DescribeImagesCommand, RunInstancesCommand, TerminateInstancesCommand } from '@aws-sdk/client-ec2';
import { groups } from '../../lab/autoscaling/group.ts';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import { verdictValue } from '../../src/domain/verdict.ts';
import type { RollLab } from './roll-lab.ts';

/** Real machines in groups: images with a service in them, and a look at what it serves. */

/** `command` is what runs the server: /usr/bin/timeout lets it die after the boot. */
const installing = (version: string, command: string) => `#!/bin/sh
mkdir -p /opt/app
echo ${version} >/opt/app/version
cat >/etc/systemd/system/web.service <<'UNIT'
[Unit]
Description=web
[Service]
ExecStart=${command} /usr/bin/python3 -m http.server 8080 --directory /opt/app
[Install]
WantedBy=multi-user.target
UNIT
systemctl enable web
`;

/** As a build does it: a machine is set up, and its disk becomes the image. */
export async function bake(l: RollLab, base: string, version: string, command = ''): Promise<string> {
  const { ec2 } = l.cloud;
  const UserData = Buffer.from(installing(version, command)).toString('base64');
  const { Instances } = await ec2.send(
    new RunInstancesCommand({ ImageId: base, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, UserData }),
  );
  const InstanceId = Instances?.[0]?.InstanceId ?? '';
  for (let exitCode: number | undefined = 1; exitCode !== 0; await l.lab.clock.sleep(2)) {
    const machine = instances(l.place).get(InstanceId);
    const ran = machine === undefined ? undefined : await guestOf(machine)?.exec(['systemctl', 'is-enabled', 'web']);
    exitCode = ran?.exitCode;
  }
  const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId, Name: `web-${version}` }));
  const stateOf = async () => (await ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] }))).Images?.[0]?.State;
  while ((await stateOf()) !== 'available') await l.lab.clock.sleep(2);
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
  const passed = verdictValue(ImageId, { result: 'passed', checks: '0'.repeat(32), at: new Date() });
  l.retag(ImageId, { 'ami-action:family': 'web', 'ami-action:commit': 'c'.repeat(40), 'ami-action:verdict': passed });
  return ImageId;
}

/** What the machines of all groups say that they serve. */
export async function served(l: RollLab): Promise<readonly string[]> {
  const ids = [...groups(l.place).values()].flatMap(({ members }) => [...members.keys()]);
  const said = ids.map(async id => {
    const machine = instances(l.place).get(id);
    const ran = machine === undefined ? undefined : await guestOf(machine)?.exec(['cat', '/opt/app/version']);
    return ran?.stdout.trim() ?? 'nothing';
  });
  return (await Promise.all(said)).sort();
}
