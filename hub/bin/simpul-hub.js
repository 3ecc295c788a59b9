#!/usr/bin/env -S node --min-semi-space-size=32 --max-semi-space-size=64
/** Starts the compiled command line of the hub; a larger young generation halves the cost of collecting garbage under load. */
import '../../dist/hub/main.js';
