import type { Settings } from './kit/settings.ts';
import { type AnyMode, LOAD } from './mode.ts';

const loaded = Object.entries(LOAD).map(async ([name, load]) => [name, await load()] as const);

/** The public interface: action.yml, the reference pages and the JSON Schema of the file are generated from it. */
export const modes: Readonly<Record<string, AnyMode>> = Object.fromEntries(await Promise.all(loaded));

/** The settings of all modes. One key has one meaning in all of them. */
export const allSettings = (): Settings => Object.assign({}, ...Object.values(modes).map(({ settings }) => settings));
