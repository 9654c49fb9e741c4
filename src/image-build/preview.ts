import { code, table, text } from '../kit/markdown.ts';
import type { Deps } from '../ports/deps.ts';
import { hide } from './packer-phase.ts';
import { findPacker, type PackerChoice, packerOrder } from './packer-tool.ts';
import { sentence } from './report.ts';
import type { Inputs } from './reuse.ts';

type Rehearsed = PackerChoice & { readonly template: string; readonly varFiles: readonly string[] };
type NeededDeps = Deps<'account', 'packer'>;

/** Of a dry run: what Packer would be asked, except what nobody may see. What the template cannot take is refused here as in the real run. */
export async function rehearse(wanted: Rehearsed, reason: string, inputs: Inputs, deps: NeededDeps): Promise<void> {
  const { report } = deps;
  const { plan, print, template } = inputs;
  const tool = await findPacker(wanted, deps);
  const order = await packerOrder(wanted, inputs, tool, deps);
  const shown = (name: string, value: unknown) =>
    name in template.secrets ? '***' : hide(typeof value === 'string' ? value : JSON.stringify(value), order.hidden);
  const setBy = (variables: Readonly<Record<string, unknown>>, who: string) =>
    Object.entries(variables).map(([name, value]) => [name, shown(name, value), who] as const);
  const variables = [...setBy(order.given, 'ami-action'), ...setBy(order.variables, '"var"'), ...setBy(order.secrets, '"secret-var"')];
  const facts: readonly (readonly [what: string, is: string])[] = [
    ['Packer', tool.version],
    ['Template', wanted.template],
    ['Regions', plan.regions.join(', ')],
    ['Base image', plan.base ?? 'whatever the template finds'],
    ['Fingerprint', print.value],
    ['Files with variables', wanted.varFiles.join(', ')],
    ['Only', order.only.join(', ')],
    ['All but', order.except.join(', ')],
  ];
  const said = facts.filter(([, is]) => is !== '');
  for (const [what, is] of said) report.info(`${what}: ${is}`);
  for (const [name, value, who] of variables) report.info(`Variable ${name}, by ${who}: ${value}`);
  const tables = [
    table(
      ['Packer would be asked', ''],
      said.map(([what, is]) => [what, code(is)]),
    ),
    table(
      ['Variable', 'Value', 'Set by'],
      variables.map(([name, value, who]) => [code(name), code(value), text(who)]),
    ),
  ];
  report.summary([`### Would build ${text(plan.name)}`, text(sentence(reason)), ...tables].join('\n\n'));
}
