import { spawn } from 'node:child_process';

export interface Captured {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a short command to its end and keeps what it says. Without a terminal and without input, so that nothing can ask a question. */
export function capture(
  command: string,
  args: readonly string[],
  options: { timeoutSeconds: number; environment: NodeJS.ProcessEnv; folder?: string; onError?: (text: string) => void },
): Promise<Captured> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, [...args], {
      env: options.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: options.timeoutSeconds * 1000,
      killSignal: 'SIGKILL',
      ...(options.folder === undefined ? {} : { cwd: options.folder }),
    });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
      options.onError?.(text);
    });
    child.once('error', reject);
    child.once('close', code => resolve({ exitCode: code ?? undefined, stdout, stderr }));
  });
}
