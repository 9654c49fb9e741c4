import { code, text } from '../kit/markdown.ts';
import type { Values } from '../kit/settings.ts';
import { common, family } from '../model/common-settings.ts';
import { identity } from '../model/image.ts';
import { verdictOf } from '../model/verdict.ts';
import type { Deps } from '../ports/deps.ts';
import { baseImage } from './base-image.ts';
import { selectImage } from './select-image.ts';
import { schemeOf, selection } from './settings.ts';

/** Finds one image and returns its ID as an output, for Terraform or a script. Changes nothing. */

export const settings = {
  family,
  ...selection('latest'),
  baseImage,
  ...common,
};

export const outputs = {
  amiId: 'The image.',
  from: '`selector`, or `base-image` if no image matched.',
  reason: 'Why this image was chosen.',
  commit: 'The commit that it was built from, if known.',
  version: 'Its version, if known.',
  verdict: 'passed, failed, none or foreign.',
};

export async function run(inputs: Values<typeof settings>, deps: Deps<'images' | 'parameters', 'commits'>) {
  const { report } = deps;
  const scheme = schemeOf(inputs);
  const picked = await report.step(`Resolve ${inputs.image}`, () => selectImage(inputs, deps, { orElse: inputs.baseImage }));
  const { image, reason, from } = picked;
  const verdict = verdictOf(image, scheme);
  report.info(`${image.id}: ${reason}`);
  report.summary(
    [`### ${text(inputs.family)}: ${code(image.id)}`, `${code(inputs.image)}: ${text(reason)}.`, `Verdict: ${text(verdict.reason)}.`].join(
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
