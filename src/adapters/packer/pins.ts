/** The vendor's archive for one version and platform, and its hash. */
export interface Archive {
  readonly version: string;
  readonly platform: string;
  readonly sha256: string;
}

const SYSTEMS: Readonly<Record<string, string>> = { linux: 'linux', darwin: 'darwin', win32: 'windows' };
const PROCESSORS: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' };

/** The vendor's name of this platform. */
export const thisPlatform = (): string => `${SYSTEMS[process.platform] ?? process.platform}_${PROCESSORS[process.arch] ?? process.arch}`;

export const pinnedArchive = (version: string, platform: string): Archive | undefined => {
  const sha256 = PINS[version]?.[platform];
  return sha256 === undefined ? undefined : { version, platform, sha256 };
};

/**
 * SHA-256 of the vendor's archives, as https://releases.hashicorp.com/packer/<version>/packer_<version>_SHA256SUMS,
 * hashicorp/homebrew-tap and cashapp/hermit-packages list it. Another version needs "packer-sha256".
 */
export const PINS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '1.16.0': {
    linux_amd64: '5edcd14ab59b535040c512dbecd6ec9ef976a000b073c19d93e4c431c948581e',
    linux_arm64: 'cf18f03460d92265d49b56befff333e80641d845822799eab04357c39f75b5d7',
    darwin_amd64: '64c4aa9a3176f89496360843bc8747238c9ad32ddc68bc5281207ae342d45be9',
    darwin_arm64: '6530042cf8f8a1f96b6607cb22b5be298be53b400cd4a2c81ab8b946964fccda',
  },
  '1.15.4': {
    linux_amd64: '15f97a6a99645c7d5308c609973b5280837b38e112beac413ccbce80da927cf1',
    linux_arm64: '23e6d2e596dd9e2527e0f7bea9aedd26059729375a0d17c462c2621f1b97b82d',
    darwin_amd64: 'b3be60b44dcb74e7962afe22cc10b89a09c74b626fcd52f49ecee32b07b99e71',
    darwin_arm64: 'd95ba177dd2ebb84d7d155493b4188ec2a519d2c3b041528db5b63a6aff9da80',
  },
  '1.15.3': {
    linux_amd64: '9ed712c9a8f223c7985d7d21c6b65744bf1c66b8aca333232b96f5ae3fd9c90d',
    linux_arm64: 'ebf06f8f30a7e3bc69fa33ac8a5dfffefd70187df4541cccc6ef3f325b8ae4f1',
    darwin_amd64: '7718bee4a580d7c486263f10a28d00db7e8c600af08102ae118592ee30a50892',
    darwin_arm64: 'cca1601f2d187b084aa875183ae70e85521df0475fc0f61a7380e46df8980289',
  },
  '1.15.2': {
    linux_amd64: '8cc4bc94a7e6d8806dd754869945287918aaa3c55bebdfa5169e33cd1dcf35c6',
    linux_arm64: '03543af87e164eedc6cd8d590f559d1b8d5d9c175f44d7ee1f4e88ae65bce918',
    darwin_amd64: 'bd41944e993441332653e064266135c7945fc9d41c8dc080ff90109ebafc9ce6',
    darwin_arm64: '42347a2f3abce00ad6b064ce71db275ac1409ff5ae3dbba93003e49ec3bd32e1',
  },
  '1.15.1': {
    linux_amd64: '648d704bec73805a5508ed612185a9e5858ca7d57b730b88b1a54c3af3a91f5f',
    linux_arm64: 'a8d68f1746ecacaf8fa9d364aa086249958a0a1f67c90b8a4f165ff024c0e58e',
    darwin_amd64: 'b574a86fae94f097cfce1b49830efa35071125496b6ca6f4f4665c5a7717d55d',
    darwin_arm64: 'dc7101854964dce31d379f9a66a1b3256381242dd670dcad25add6f2f299d934',
  },
  '1.15.0': {
    linux_amd64: '2fd1149c5c6c7604ced64d7b56638af05f6b7ed3f6835182bc913ddaba1f16b8',
    linux_arm64: '1687f43bd120601f62e54b970b1cc06f83e95897357dc5c679b57ec9d2fb40a7',
    darwin_amd64: 'a565b825aed17ac9a7c422b5ed22e6598dd42b9f705de161695853b1f5c6bd80',
    darwin_arm64: 'ebd8eb03503627471f39b036ff5dbb24070d21518d59aa8cbf962386257d21a4',
  },
  '1.14.3': {
    linux_amd64: '95041cc0a30f05d5583be26a7c0b715f488e461418ce0c5d88ba204cb092bef1',
    linux_arm64: '42d920291ff495702004eb941b56143dc3efd9b66743fd949b19156422029847',
    darwin_amd64: 'f76d02dd10d4ded95ba9b970254820d1b081e7d5720e122fd815ab01e80eb6d0',
    darwin_arm64: 'e50aec4714a907db4b8fd7c1a8c92075b8dd801cac420fbd98d0d0e1470a68fe',
  },
  '1.14.2': {
    linux_amd64: 'cfefdea4ac580eba7b254ef34d25b756d4961741004e3e701a1476594d13e64a',
    linux_arm64: '370002d15b07c0dc47dd0d188cdea8e6746606f6fcc3b4de48d02496d71d74ee',
    darwin_amd64: '7ed73a8affcfa81b664b1d47db4eacd43e8038ecf2ae576b40880a64d1c80ba1',
    darwin_arm64: 'b053c01272f87fe669c642dfac167b0b48cfb5c119e2e946d90ef92c2407f746',
  },
  '1.14.0': {
    linux_amd64: 'ce313ccd3f7f9606cb2eb02db49607960fbaa1ed76bf24b7c4a0850ce743d66a',
    linux_arm64: 'd2a9775c5ae399bdfe7d4b271d45861e18425fffd325043aa8b48f83a96d00cd',
    darwin_amd64: 'a71345d4a15184aa5afc055c541c625b0e1e863f4a20c5908d22b7a3346fb8de',
    darwin_arm64: '48346ea23421e5b77638d8d33d616ebfac371e688a1b8113b75bbc37e3c1bcdb',
  },
};
