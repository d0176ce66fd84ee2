#!/usr/bin/env node
// Prints SafeLike.json, built from SafeLike.sol with the compiler of registry/contracts:
//   node tests/registry/safelike/build.mjs > tests/registry/safelike/SafeLike.json
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const contracts = join(here, "..", "..", "..", "registry", "contracts");
const solc = createRequire(join(contracts, "build.mjs"))("solc");
const { remappings, ...settings } = JSON.parse(readFileSync(join(contracts, "compiler.json"), "utf8"));
const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: { "SafeLike.sol": { content: readFileSync(join(here, "SafeLike.sol"), "utf8") } },
      settings: { ...settings, outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } } },
    }),
  ),
);
for (const problem of output.errors ?? []) console.error(problem.formattedMessage);
const { abi, evm } = output.contracts["SafeLike.sol"].SafeLike;
console.log(JSON.stringify({ abi, bytecode: `0x${evm.bytecode.object}` }));
