import { code, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, family } from '../model/common-settings.ts';
import { identity } from '../model/image.ts';
import { verdictOf } from '../model/verdict.ts';
import type { Deps } from '../ports/deps.ts';
import { baseImage } from './base-image.ts';
import { schemeOf, selectImage, selection } from './select-image.ts';

// Needs a selector.
// Leaves behind the image ID as an output, so that Terraform or a script can use it; it changes nothing.

export const settings = {
  family,
  ...selection('latest'),
  baseImage,
  ...common,
};

export const outputs = {
  amiId: 'The image.',
  from: 'Where it came from: `selector`, or `base-image` when nothing fitted.',
  reason: 'Why this one, as a sentence.',
  commit: 'The commit it was built from, if it says so.',
  version: 'Its version, if it says so.',
  verdict: 'passed, failed, none or foreign.',
};

export async function run(wanted: Values<typeof settings>, deps: Deps<'images' | 'parameters', 'commits'>) {
  const { report } = deps;
  const scheme = schemeOf(wanted);
  const picked = await report.step(`Resolve ${wanted.image}`, () => selectImage(wanted, deps, { orElse: wanted.baseImage }));
  const { image, reason, from } = picked;
  const verdict = verdictOf(image, scheme);
  report.info(`${image.id}: ${reason}`);
  report.summary(
    [`### ${text(wanted.family)}: ${code(image.id)}`, `${code(wanted.image)}: ${text(reason)}.`, `Verdict: ${text(verdict.reason)}.`].join(
      '\n\n',
    ),
  );
  return {
    outcome: 'done' as const,
    outputs: {
      amiId: image.id,
      from,
      reason,
      commit: identity(image, scheme, 'commit'),
      version: identity(image, scheme, 'version'),
      verdict: verdict.result,
    },
  };
}
