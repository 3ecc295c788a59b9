#!/usr/bin/env node
/** Starts the compiled command line of the hub. */
import '../../dist/hub/main.js';
