import { count, oneOf, optional, text } from '../kit/fields.ts';
import type { Inputs, Values } from '../kit/settings.ts';
import { architecture, type common, environment } from '../model/common-settings.ts';
import type { TagScheme } from '../model/image.ts';
import { AMI_ID, REGION, ROLE_ARN, whole } from '../model/patterns.ts';
import { DEFAULT_POINTER } from '../model/pointer.ts';
import { SELECTOR_GRAMMAR } from '../model/selector.ts';
import { selectorHint } from '../model/selector-hint.ts';

const history = {
  repository: optional(
    text('Repository whose history `last-known-good` reads. A private one needs a `github-token` that can read it. Default: this one.', {
      pattern: /^[\w.-]+\/[\w.-]+$/,
      message: 'must be owner/name',
      neededBy: 'teams that follow the image of another repository',
    }),
  ),
  walk: count('How many first parents `last-known-good` reads.', {
    min: 1,
    max: 1000,
    fallback: 50,
    neededBy: 'repositories where most commits build no image',
  }),
};

const otherAccount = {
  fromRole: optional(
    text('Role that reads the pointer of `environment:<name>`, if that environment is in another account.', {
      pattern: whole(ROLE_ARN),
      message: 'must be the ARN of a role, such as arn:aws:iam::444455556666:role/ami-reader',
      neededBy: 'teams whose stage and prod are two accounts',
    }),
  ),
  fromRegion: optional(
    text('Region of the pointer of `environment:<name>`. Default: `region`.', {
      pattern: whole(REGION),
      message: 'must be a region such as eu-west-1',
      neededBy: 'teams whose stage and prod are in two regions',
    }),
  ),
};

/** The settings of a mode that needs an image. */
export const selection = (fallbackImage: string | undefined) => ({
  image: text(`Which image: \`${SELECTOR_GRAMMAR.replaceAll(', ', '`, `').replace(' or ', '` or `')}\`.`, {
    ...(fallbackImage === undefined ? {} : { fallback: fallbackImage }),
    pattern: whole(`(${AMI_ID}|latest|previous|commit:[0-9a-f]{7,64}|(ref|version|environment):\\S+)`),
    message: `must be ${SELECTOR_GRAMMAR}`,
    hint: selectorHint,
  }),
  environment: optional(environment),
  pointer,
  architecture,
  fallback: oneOf(
    'If a commit or branch has no passed image: `none` refuses, `last-known-good` goes back through its first parents to the newest that has one.',
    ['none', 'last-known-good'],
    { fallback: 'none' },
  ),
  ...history,
  ...otherAccount,
});

export const pointer = text('Name of the SSM parameter that holds the current image of an environment.', {
  fallback: DEFAULT_POINTER,
  pattern: /^(?=.{2,501}$)\/([\w./-]|\{(family|environment|architecture)\})+$/,
  message: 'must be a parameter name that starts with "/"; its placeholders are {family}, {environment} and {architecture}',
});

type Scheme = Pick<Values<typeof common>, 'tagPrefix' | 'commitTag'>;
type Token = Inputs<Pick<typeof common, 'githubToken' | 'roleToAssume'>>;

export type Selection = Inputs<ReturnType<typeof selection>> & Scheme & Token & { readonly family: string; readonly region: string };

export const schemeOf = ({ tagPrefix, commitTag }: Scheme): TagScheme => ({ prefix: tagPrefix, commitKey: commitTag });
