#!/usr/bin/env node
// The terminal program: the same bundle as the action, with flags instead of `with:`.
if (process.argv.length < 3) process.argv.push('help');
await import('../dist/index.js');
