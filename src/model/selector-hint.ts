const LATEST = ['newest', 'last', 'recent', 'lastest', 'head'];
const ENVIRONMENTS = ['dev', 'development', 'test', 'testing', 'qa', 'stage', 'staging', 'preprod', 'prod', 'production', 'live'];

/** What ami-pipeline.yml passes where a build made several images, and its input "architectures" is empty. */
const SEVERAL_IMAGES = 'several-images';

/** What a text was probably meant to be, as the end of the sentence `"image" ...`; undefined where nothing is close. */
export function selectorHint(text: string): string | undefined {
  const instead = (selector: string) => `is not a selector, did you mean "${selector}"?`;
  if (text === SEVERAL_IMAGES) return 'must be one image, and the build made several: set the input "architectures" of ami-pipeline.yml';
  if (/^ami-/i.test(text)) return 'must be an image ID: ami- and 8 or 17 hexadecimal digits';
  if (/^commit:/.test(text)) return 'must be commit: and 7 to 64 hexadecimal digits';
  if (LATEST.includes(text.toLowerCase())) return instead('latest');
  if (ENVIRONMENTS.includes(text.toLowerCase())) return instead(`environment:${text}`);
  if (/^[0-9a-f]{7,64}$/.test(text)) return instead(`commit:${text}`);
  if (/^v?\d+(\.\d+)+\S*$/.test(text)) return instead(`version:${text}`);
  return /^[\w./-]+$/.test(text) ? instead(`ref:${text}`) : undefined;
}
