#!/usr/bin/env node
/** Starts the compiled reader program for PC/SC readers, for the hub's host too. */
import '../../dist/kiosk/pcsc.js';
