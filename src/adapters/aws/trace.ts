import type { EC2Client } from '@aws-sdk/client-ec2';
import type { Access } from './session.ts';

/** Under debug logging, a line for each call: service, operation, region, result, duration, attempts and request ID, which AWS Support asks for. */
export function traceCalls(client: Pick<EC2Client, 'middlewareStack'>, region: string, { report }: Pick<Access, 'report'>): void {
  client.middlewareStack.add(
    (next, { clientName = '', commandName = '' }) =>
      async args => {
        const name = `${clientName.replace(/Client$/, '')}:${commandName.replace(/Command$/, '')}`;
        const startedAt = performance.now();
        const trace = (result: string, metadata: unknown) => report.debug(formatCall(name, region, result, startedAt, metadata));
        try {
          const answer = await next(args);
          trace('ok', answer.output.$metadata);
          return answer;
        } catch (failure) {
          trace((failure as Error).name, (failure as { $metadata?: unknown }).$metadata);
          throw failure;
        }
      },
    { step: 'initialize', name: 'traceCalls' },
  );
}

function formatCall(name: string, region: string, result: string, startedAt: number, metadata: unknown): string {
  const { requestId, attempts = 1 } = (metadata ?? {}) as { readonly requestId?: string; readonly attempts?: number };
  const parts = [
    `${Math.round(performance.now() - startedAt)} ms`,
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(requestId === undefined ? [] : [`request ${requestId}`]),
  ];
  return `${name} ${region}: ${result}, ${parts.join(', ')}`;
}
