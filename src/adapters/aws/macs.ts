import { GenerateMacCommand, type KMSClient, VerifyMacCommand } from '@aws-sdk/client-kms';
import type { Macs } from '../../ports/macs.ts';
import { asExpected, isCode, unreadableAnswer } from './errors.ts';

const MacAlgorithm = 'HMAC_SHA_256';

export const kmsMacs = (kms: KMSClient): Macs => ({
  async generate(key, message) {
    const { Mac } = await kms
      .send(new GenerateMacCommand({ KeyId: key, Message: Buffer.from(message), MacAlgorithm }))
      .catch(asExpected(`sign the verdict with ${key} (kms:GenerateMac)`));
    if (Mac === undefined) throw unreadableAnswer(`sign the verdict with ${key} (kms:GenerateMac)`, 'it has no MAC');
    return Buffer.from(Mac).toString('base64');
  },
  async verify(key, message, mac) {
    try {
      const command = new VerifyMacCommand({ KeyId: key, Message: Buffer.from(message), Mac: Buffer.from(mac, 'base64'), MacAlgorithm });
      // A wrong MAC is an error, not an answer. https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html
      return (await kms.send(command)).MacValid === true;
    } catch (cause) {
      if (isCode(cause, 'KMSInvalidMacException')) return false;
      return asExpected(`verify the verdict with ${key} (kms:VerifyMac)`)(cause);
    }
  },
});
