#!/usr/bin/env node
// The npm compiler behind the two calls of the native `solc` that forge makes, so that forge needs no network:
//   solc.mjs --version          solc.mjs --standard-json < input   (further flags concern files and are not needed)
import { readFileSync } from "node:fs";
import solc from "solc";

const args = process.argv.slice(2);
if (args.includes("--version")) {
  console.log(`solc, the solidity compiler commandline interface\nVersion: ${solc.version()}`);
} else if (args.includes("--standard-json")) {
  // forge puts every source into the input, so no import callback is wanted.
  process.stdout.write(solc.compile(readFileSync(0, "utf8")));
} else {
  console.error(`solc.mjs: expected --version or --standard-json, got: ${args.join(" ")}`);
  process.exit(2);
}
