import type { EC2Client } from '@aws-sdk/client-ec2';
import { formatDuration } from '../../kit/format.ts';
import type { Access } from './session.ts';

/**
 * The time of AWS decides what has expired and when a test instance terminates itself, not the clock of a runner: every answer has a Date header.
 * https://www.rfc-editor.org/rfc/rfc9110#name-date
 */
export function followServerTime(client: Pick<EC2Client, 'middlewareStack'>, { clock, report }: Pick<Access, 'clock' | 'report'>): void {
  const read = (response: unknown) => {
    const { headers } = (response ?? {}) as { headers?: Readonly<Record<string, string>> };
    const at = Date.parse(headers?.['date'] ?? '');
    const skew = Number.isNaN(at) ? undefined : clock.follow(at);
    if (skew === undefined) return;
    const where = skew > 0 ? 'behind' : 'ahead of';
    report.warn(
      `The clock of the runner is ${formatDuration(Math.round(Math.abs(skew) / 60_000) * 60)} ${where} AWS. The time of AWS is used.`,
    );
  };
  client.middlewareStack.add(
    next => async args => {
      try {
        const result = await next(args);
        read(result.response);
        return result;
      } catch (failure) {
        read((failure as { $response?: unknown } | undefined)?.$response);
        throw failure;
      }
    },
    { step: 'deserialize', name: 'followServerTime' },
  );
}
