import { execFile } from 'node:child_process';
import { entering } from './enter.ts';

const SCRIPT = `
exec 3<>"/dev/tcp/$1/$2" || exit 1
printf 'GET %s HTTP/1.1\\r\\nHost: %s\\r\\nUser-Agent: ELB-HealthChecker/2.0\\r\\nConnection: close\\r\\n\\r\\n' "$3" "$1" >&3
read -r version status rest <&3 || exit 1
printf %s "$status"
`;

const TIMEOUT_MILLISECONDS = 5000;

/**
 * Status of an HTTP GET at the guest's own address, in its network. A service on its loopback alone does not answer, as with a load balancer. bash
 * is the client. Only the network is the guest's, so a guest without tools can be probed.
 */
export function probe(pid: number, address: string, port: number, path: string): Promise<number | undefined> {
  const args = [...entering(pid, ['net']), 'bash', '-c', SCRIPT, 'probe', address, String(port), path];
  return new Promise(settle => {
    execFile('nsenter', args, { timeout: TIMEOUT_MILLISECONDS, killSignal: 'SIGKILL' }, (failure, stdout) => {
      const status = Number(stdout);
      settle(failure === null && Number.isInteger(status) && status >= 100 ? status : undefined);
    });
  });
}
