import { randomUUID } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Executed, Guest } from '../hypervisor.ts';

/** The lab's end of the line to the agent in a guest. The agent asks for work; a request waits until there is some. */
export interface AgentLine {
  serve(request: IncomingMessage, response: ServerResponse): void;
  /** Waits for the agent. Rejects when the agent that took the command ends before the command. */
  readonly exec: Guest['exec'];
  isAlive(): boolean;
  /** The guest has ended: nothing will answer. */
  hangUp(): void;
}

interface Run {
  readonly id: string;
  readonly output: { stdout: Buffer[]; stderr: Buffer[] };
  readonly onOutput: (chunk: Buffer) => void;
  /** The session of the agent that took it. */
  takenBy: string | undefined;
  settle(executed: Executed): void;
  fail(cause: Error): void;
}

interface Agent {
  /** Identifies its process. */
  session: string;
  /** Its request for work, while it waits. */
  poll: ServerResponse | undefined;
  seenAt: number;
}

interface Order {
  readonly run: string;
  readonly command?: readonly string[];
  readonly input?: string;
}

const POLL_MILLISECONDS = 10_000;
/** Longer than a poll, and than the pause of an agent that has lost its network. */
const SILENT_MILLISECONDS = 15_000;
/** Exit code of a process that got SIGKILL. */
const KILLED = 137;

export function agentLine(instanceId: string): AgentLine {
  const runs = new Map<string, Run>();
  const queue: Order[] = [];
  const agent: Agent = { session: '', poll: undefined, seenAt: 0 };

  const hand = () => handOver(agent, runs, queue);
  const meet = (session: string) => {
    agent.seenAt = Date.now();
    if (session === agent.session) return;
    agent.session = session;
    for (const run of runs.values()) if (run.takenBy !== undefined) run.fail(new Error(`the agent of ${instanceId} was restarted`));
  };
  const wait = (poll: ServerResponse) => {
    agent.poll = poll;
    const timer = setTimeout(() => {
      if (agent.poll === poll) agent.poll = undefined;
      end(poll, '');
    }, POLL_MILLISECONDS);
    poll.once('close', () => {
      clearTimeout(timer);
      if (agent.poll !== poll) return;
      agent.poll = undefined;
      // It ended while it waited: the process is gone.
      agent.seenAt = 0;
    });
    hand();
  };
  return {
    isAlive: () => Date.now() - agent.seenAt < SILENT_MILLISECONDS,
    serve: (request, response) => {
      const [, , session = '', id = '', kind = ''] = (request.url ?? '').split('/');
      meet(session);
      if (id === 'next') return wait(response);
      void bodyOf(request).then(body => {
        const run = runs.get(id);
        if (run !== undefined) take(run, kind, body);
        end(response, '');
      });
    },
    exec: (command, options = {}) => execute({ runs, queue, hand }, command, options),
    hangUp: () => {
      agent.seenAt = 0;
      for (const run of runs.values()) run.fail(new Error(`${instanceId} does not run`));
    },
  };
}

function handOver(agent: Agent, runs: ReadonlyMap<string, Run>, queue: Order[]): void {
  const { poll, session } = agent;
  const order = queue[0];
  if (poll === undefined || order === undefined || poll.destroyed) return;
  agent.poll = undefined;
  queue.shift();
  const run = runs.get(order.run);
  if (run !== undefined) run.takenBy = session;
  end(poll, JSON.stringify(order));
}

interface Book {
  readonly runs: Map<string, Run>;
  readonly queue: Order[];
  hand(): void;
}

function execute({ runs, queue, hand }: Book, command: readonly string[], options: Parameters<Guest['exec']>[1] = {}): Promise<Executed> {
  const { input = '', signal, onOutput = () => undefined } = options;
  const id = randomUUID();
  return new Promise<Executed>((settle, fail) => {
    const stop = () => {
      const waiting = queue.findIndex(({ run }) => run === id);
      if (waiting < 0) queue.push({ run: id });
      else {
        queue.splice(waiting, 1);
        settle({ exitCode: KILLED, stdout: '', stderr: '' });
      }
      hand();
    };
    runs.set(id, { id, output: { stdout: [], stderr: [] }, onOutput, takenBy: undefined, settle, fail });
    queue.push({ run: id, command, input });
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    hand();
  }).finally(() => runs.delete(id));
}

function take(run: Run, kind: string, body: Buffer): void {
  if (kind === 'stdout' || kind === 'stderr') {
    run.output[kind].push(body);
    run.onOutput(body);
    return;
  }
  const [stdout, stderr] = [run.output.stdout, run.output.stderr].map(chunks => Buffer.concat(chunks).toString());
  run.settle({ exitCode: Number(body.toString()), stdout: stdout ?? '', stderr: stderr ?? '' });
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

function end(response: ServerResponse, text: string): void {
  if (response.writableEnded || response.destroyed) return;
  response.writeHead(200, { connection: 'close', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}
