import {
  CreateImageCommand,
  DescribeImagesCommand,
  type EC2Client,
  RunInstancesCommand,
  TerminateInstancesCommand,
} from '@aws-sdk/client-ec2';
import { guestOf, instances } from '../../lab/ec2/state.ts';
import type { Lab } from '../../lab/lab.ts';
import { until } from './group-stage.ts';

/** Serves /health and /version on 8080. `command` runs the server: with /usr/bin/timeout it dies after the boot. */
const installing = (version: string, command: string) => `#!/bin/sh
mkdir -p /opt/app
echo ok >/opt/app/health
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

/** As a build does it: an instance is set up, and its disk becomes the image. */
export async function bakeImage({ ec2, lab }: { ec2: EC2Client; lab: Lab }, base: string, version: string, command = ''): Promise<string> {
  const UserData = Buffer.from(installing(version, command)).toString('base64');
  const { Instances } = await ec2.send(
    new RunInstancesCommand({ ImageId: base, InstanceType: 't3.micro', MinCount: 1, MaxCount: 1, UserData }),
  );
  const InstanceId = Instances?.[0]?.InstanceId ?? '';
  const enabled = ['sh', '-c', 'test -e /opt/app/version && systemctl is-enabled web'];
  await until(
    async () => {
      const machine = instances(lab.place()).get(InstanceId);
      return machine === undefined ? undefined : guestOf(machine)?.exec(enabled);
    },
    ran => ran?.exitCode === 0,
  );
  const { ImageId = '' } = await ec2.send(new CreateImageCommand({ InstanceId, Name: `web-${version}` }));
  await until(
    () => ec2.send(new DescribeImagesCommand({ ImageIds: [ImageId] })),
    ({ Images }) => Images?.[0]?.State === 'available',
  );
  await ec2.send(new TerminateInstancesCommand({ InstanceIds: [InstanceId] }));
  return ImageId;
}
