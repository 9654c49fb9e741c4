import { UsageError } from '../../kit/errors.ts';
import { explain } from '../../kit/failure.ts';

/** The same in every Region and for every instance; the variable is that of the AWS SDKs. */
const address = (): string => process.env['AWS_EC2_METADATA_SERVICE_ENDPOINT'] || 'http://169.254.169.254';
const TIMEOUT_MS = 5_000;

/**
 * ID of the instance that this process runs on, by IMDSv2. Throws UsageError where no metadata service answers.
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/configuring-instance-metadata-service.html
 */
export async function ownInstanceId(): Promise<string> {
  try {
    const token = await ask('/latest/api/token', { method: 'PUT', headers: { 'X-aws-ec2-metadata-token-ttl-seconds': '60' } });
    const id = await ask('/latest/meta-data/instance-id', { headers: { 'X-aws-ec2-metadata-token': token } });
    if (!/^i-[0-9a-f]{8,17}$/.test(id)) throw new Error(`its instance ID is ${JSON.stringify(id.slice(0, 40))}`);
    return id;
  } catch (cause) {
    throw new UsageError([`"from-instance" is self, and the instance metadata service does not answer: ${explain(cause)}`], {
      cause,
      unchanged: true,
      next: 'Run it on an EC2 instance with IMDSv2 enabled; in a container, the hop limit must be at least 2. Elsewhere, give the ID of the instance.',
    });
  }
}

async function ask(path: string, init: RequestInit): Promise<string> {
  const answer = await fetch(new URL(path, address()), { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (!answer.ok) throw new Error(`${path} answers ${answer.status}`);
  return (await answer.text()).trim();
}
