import { REGION } from '../../model/patterns.ts';

/** What the text of a template says, without Packer: an unchanged run does not install it. */

/** Credentials of one session: they differ in every run, and do not determine the image. */
const SESSION =
  /^AWS_(ACCESS_KEY_ID|SECRET_ACCESS_KEY|SESSION_TOKEN|SECURITY_TOKEN|CREDENTIAL_EXPIRATION|WEB_IDENTITY_TOKEN_FILE|CONTAINER_\w+)$/;

/** The environment variables that it reads, without session credentials. In JSON a quotation mark is escaped. */
export const environmentNames = (template: string): readonly string[] =>
  [...template.matchAll(/\benv\s*\(?\s*\\?["`]([A-Za-z_]\w*)\\?["`]/g)].flatMap(([, name = '']) => (SESSION.test(name) ? [] : [name]));

/** Regions that it builds in or copies to regardless of variables. */
export const ownRegions = (template: string): readonly string[] =>
  [...template.matchAll(/^[ \t]*"?(?:ami_)?regions?"?\s*[=:]\s*(\[[^\]]*\]|"[^"]*")/gm)].flatMap(([, value = '']) =>
    [...value.matchAll(new RegExp(`"(${REGION})"`, 'g'))].flatMap(([, region]) => region ?? []),
  );

/** Whether Packer removes the old image of the same name before the new one exists. */
export const removesFirst = (template: string): boolean => /^\s*"?force_de(register|lete_snapshot)"?\s*[=:]\s*"?true/m.test(template);
