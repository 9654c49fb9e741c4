import type { IncomingMessage } from 'node:http';
import type { CallBook } from '../calls.ts';
import { FAULT_ACTIONS, type FaultRule } from '../fault-rules.ts';
import type { FaultBook } from '../faults.ts';
import { type Deployment, deploy } from '../iam/deploy.ts';
import type { Core } from '../place.ts';
import type { Weather } from '../weather.ts';
import type { Answer } from './protocols.ts';

export interface ServerDeps {
  readonly core: Core;
  readonly calls: CallBook;
  readonly faults: FaultBook;
  readonly weather: Weather | undefined;
  readonly defaultRegion: string;
}

/** Rules and call log over HTTP, for other processes.
 *
 *  GET    /_lab                   speed, time, kind of machines, number of calls
 *  GET    /_lab/calls[?since=n]   the call log
 *  GET    /_lab/faults            the rules
 *  POST   /_lab/faults            adds a rule (faults.ts), without functions; `kill: <pid>` works
 *  DELETE /_lab/faults            removes all rules
 *  POST   /_lab/templates         deploys IAM resources: { template, account, region?, stack?, parameters? }
 */
export function answerControl({ core, calls, faults }: ServerDeps, request: IncomingMessage, body: string): Answer {
  const url = new URL(request.url ?? '/', 'http://lab');
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /_lab':
      return json({ speed: core.clock.speed, now: core.clock.date(), machines: core.hypervisor.kind, calls: calls.mark() });
    case 'GET /_lab/calls':
      return json(calls.since(Number(url.searchParams.get('since') ?? 0)));
    case 'GET /_lab/faults':
      return json(faults.rules());
    case 'POST /_lab/faults':
      return addRule(body, rule => faults.add(rule));
    case 'POST /_lab/templates':
      return deployTemplate(core, body);
    case 'DELETE /_lab/faults':
      faults.clear();
      return json({});
    default:
      return json({ error: `Nothing at ${request.method} ${url.pathname}` }, 404);
  }
}

function addRule(body: string, add: (rule: FaultRule) => void): Answer {
  try {
    const rule = JSON.parse(body) as FaultRule;
    const [action] = Object.keys(rule.action ?? {});
    if (action === undefined || !FAULT_ACTIONS.includes(action))
      return json({ error: `A rule needs an action: ${FAULT_ACTIONS.join(', ')}.` }, 400);
    add(rule);
    return json({});
  } catch (cause) {
    return json({ error: String(cause) }, 400);
  }
}

function deployTemplate(core: Core, body: string): Answer {
  try {
    const { template, ...deployment } = JSON.parse(body) as Deployment & { template: string };
    return json(deploy(core, template, deployment));
  } catch (cause) {
    return json({ error: String(cause) }, 400);
  }
}

const json = (value: unknown, status = 200): Answer => ({ status, type: 'application/json', body: JSON.stringify(value) });
