import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';

// What is not asked for by setting is off in the SDK: it reads neither HTTPS_PROXY nor NO_PROXY. Node does since 24.5, if an agent is told to.
// https://nodejs.org/api/http.html#built-in-proxy-support
const options = { keepAlive: true, maxSockets: 50, proxyEnv: process.env };
const [httpAgent, httpsAgent] = [new HttpAgent(options), new HttpsAgent(options)];

/**
 * For every client alike; connections are shared. Without a time of its own a connection that hangs would outlive an OIDC token, and
 * unless it is told to throw, the SDK only warns when that time is up.
 */
export const requestHandler = { connectionTimeout: 5_000, requestTimeout: 60_000, throwOnRequestTimeout: true, httpAgent, httpsAgent };
