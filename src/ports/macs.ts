/** Message authentication codes of an HMAC key, in base64. The key is an ARN in the region of the port. */
export interface Macs {
  generate(key: string, message: string): Promise<string>;
  verify(key: string, message: string, mac: string): Promise<boolean>;
}
