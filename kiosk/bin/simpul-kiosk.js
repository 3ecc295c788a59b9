#!/usr/bin/env node
/** Starts the compiled command line of the kiosk. */
import '../../dist/kiosk/main.js';
